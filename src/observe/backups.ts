import { join } from 'node:path';
import { backupTime } from '../domain/backup.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { UserError } from '../domain/errors.ts';
import { listFolder, readText } from '../effects/files.ts';
import { imageTagOf } from './deployment.ts';
import type { Project } from './project.ts';

/** A copy of docker/.env as it was. */
export interface Backup {
  readonly name: string;
  /** When it was made, ISO 8601. */
  readonly at: string;
  readonly bytes: number;
  /** What IMAGE_TAG says in it; null if it says nothing. */
  readonly imageTag: string | null;
  /** It can be read as an env file, and so be brought back. */
  readonly readable: boolean;
  /** docker/.env is this, byte for byte. */
  readonly current: boolean;
  readonly [key: string]: string | number | boolean | null;
}

/** The backups of docker/.env, newest first. Files of other names are not ours and left out. */
export async function readBackups(project: Project): Promise<Backup[]> {
  const present = await readText(project.envFile);
  const names = (await listFolder(project.backups)).filter((name) => backupTime(name) !== null);
  const backups = await Promise.all(
    names.map(async (name): Promise<Backup | null> => {
      const text = await readText(join(project.backups, name));
      if (text === null) return null;
      const bytes = Buffer.byteLength(text);
      const tag = tagIn(text, name);
      const [readable, imageTag] = tag === undefined ? [false, null] : [true, tag];
      return { name, at: backupTime(name) ?? '', bytes, imageTag, readable, current: text === present };
    }),
  );
  return backups.filter((backup) => backup !== null).reverse();
}

/** IMAGE_TAG in an env file's text; undefined if it is no env file that could be in force. */
function tagIn(text: string, path: string): string | null | undefined {
  if (text.trim() === '' || text.includes('\ufffd')) return undefined;
  try {
    return imageTagOf(parseEnvFile(text, path));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
