import { parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { readText } from '../effects/files.ts';
import { imageTagOf } from '../observe/settings.ts';
import type { Project } from '../observe/project.ts';

/** The IMAGE_TAG in force. Throws PRECONDITION (exit 6) where nothing was installed yet. */
export async function requireInstalled(project: Project): Promise<string> {
  const text = await readText(project.envFile);
  const tag = text === null ? null : imageTagOf(parseEnvFile(text, project.envFile));
  return (
    tag ??
    fail(
      'PRECONDITION',
      { en: `nothing is installed in ${project.root}`, zh: `${project.root} 尚未安装` },
      { hint: { en: 'xingrin install', zh: 'xingrin install' } },
    )
  );
}
