import { unfinishedOperations } from '../apply/journal.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { readText } from '../effects/files.ts';
import { imageTagOf } from '../observe/settings.ts';
import { openProject, readVersion, type Project } from '../observe/project.ts';

/**
 * Opens the project for a command that acts on what its files say. Throws BAD_INPUT (exit 2) if docker/.env is no env file, or
 * IMAGE_TAG (or VERSION, if the command goes by it) no version: before anything is written and before any program runs. Where an
 * operation was interrupted, its recovery comes first; it may be what mends them.
 */
export async function openSoundProject(
  directory: string,
  options: { readonly goesByVersion?: boolean } = {},
): Promise<Project> {
  return openProject(directory, async (files) => {
    if ((await unfinishedOperations(files.journal)).length > 0) return;
    const text = await readText(files.envFile);
    if (text !== null) imageTagOf(parseEnvFile(text, files.envFile));
    if (options.goesByVersion === true) await readVersion(files);
  });
}
