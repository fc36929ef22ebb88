import { join } from 'node:path';
import { readBackupName, type BackupKind } from '../domain/backup.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { UserError } from '../domain/errors.ts';
import { parseInventory } from '../domain/inventory.ts';
import { listFolder, readText } from '../effects/files.ts';
import { imageTagOf } from './settings.ts';
import type { Project } from './project.ts';

/** A copy of docker/.env or of the inventory as it was. */
export interface Backup {
  readonly name: string;
  readonly kind: BackupKind;
  /** When it was made, ISO 8601. */
  readonly at: string;
  readonly bytes: number;
  /** What IMAGE_TAG says in it; null if it says nothing, and for an inventory. */
  readonly imageTag: string | null;
  /** How many workers it declares; null for docker/.env. */
  readonly workers: number | null;
  /** It can be read, and so be brought back. */
  readonly readable: boolean;
  /** What is there now is this, byte for byte. */
  readonly current: boolean;
  readonly [key: string]: string | number | boolean | null;
}

/** The backups, newest first. Files of other names are not ours and left out. */
export async function readBackups(project: Project): Promise<Backup[]> {
  const present = { env: await readText(project.envFile), inventory: await readText(project.inventoryFile) };
  const backups = await Promise.all(
    (await listFolder(project.backups)).map(async (name): Promise<Backup | null> => {
      const known = readBackupName(name);
      const text = known === null ? null : await readText(join(project.backups, name));
      if (known === null || text === null) return null;
      const { kind, at } = known;
      const bytes = Buffer.byteLength(text);
      return { name, kind, at, bytes, ...contentOf(text, name, kind), current: text === present[kind] };
    }),
  );
  return backups.filter((backup) => backup !== null).sort((one, other) => other.at.localeCompare(one.at));
}

function contentOf(text: string, name: string, kind: BackupKind): Pick<Backup, 'imageTag' | 'workers' | 'readable'> {
  const unreadable = { imageTag: null, workers: null, readable: false };
  // A file that was cut off by a full disk is empty, or ends in the middle of a character.
  if (text.trim() === '' || text.includes('\ufffd')) return unreadable;
  try {
    return kind === 'env'
      ? { imageTag: imageTagOf(parseEnvFile(text, name)), workers: null, readable: true }
      : { imageTag: null, workers: parseInventory(text, name).workers.length, readable: true };
  } catch (error) {
    if (error instanceof UserError) return unreadable;
    throw error;
  }
}
