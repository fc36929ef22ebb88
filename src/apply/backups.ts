import { join } from 'node:path';
import { backupName, readBackupName, superfluousBackups, type BackupKind } from '../domain/backup.ts';
import { fail } from '../domain/errors.ts';
import { highestIdIn, parseInventory, withLastId } from '../domain/inventory.ts';
import { exists, listFolder, makeFolder, readText, remove, writeFileAtomic } from '../effects/files.ts';
import type { Project } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import { executor, type Executors } from './step.ts';

interface Memo {
  /** File name of the backup of what was there before; null if there was nothing. */
  readonly backup: string | null;
  readonly [key: string]: string | null;
}

type Named = { readonly name: string; readonly [key: string]: Json };

/** Making and bringing back copies of docker/.env and of the inventory. */
export function backupExecutors(project: Project, now: () => Date = () => new Date()): Executors {
  const make = (kind: BackupKind) =>
    executor<{ readonly [key: string]: never }>({
      async apply() {
        await backUp(project, kind, now());
        return 'done';
      },
    });
  const restore = (kind: BackupKind) =>
    executor<Named, Memo>({
      async before({ name }) {
        return { backup: await backUp(project, kind, now(), [name]) };
      },
      async apply({ name }) {
        const kept = (await readText(join(project.backups, name))) ?? hasGone(name);
        const text = kind === 'inventory' ? await withIdsEverGiven(project, kept) : kept;
        const file = fileOf(project, kind);
        if (text === (await readText(file))) return 'unchanged';
        await writeFileAtomic(file, text, { mode: 0o600 });
        return 'done';
      },
      async undo(_params, { backup }) {
        if (backup === null) await remove(fileOf(project, kind));
        else await putBack(project, backup, kind);
      },
    });
  return {
    'backup-env': make('env'),
    'backup-inventory': make('inventory'),
    'restore-env': restore('env'),
    'restore-inventory': restore('inventory'),
  };
}

/**
 * Copies docker/.env into the backups folder, and removes the oldest backups beyond those that are to be kept.
 *
 * @returns the backup that holds docker/.env as it is; null if there is nothing to copy
 */
export async function backUpEnv(project: Project, now: Date): Promise<string | null> {
  return backUp(project, 'env', now);
}

/**
 * The same for either kind. A copy that would say the same as the newest is not made.
 *
 * @param spared backups that stay, however old
 */
export async function backUp(
  project: Project,
  kind: BackupKind,
  now: Date,
  spared: readonly string[] = [],
): Promise<string | null> {
  const text = await readText(fileOf(project, kind));
  if (text === null) return null;
  await makeFolder(project.state, 0o700);
  await makeFolder(project.backups, 0o700);
  const newest = (await listFolder(project.backups)).findLast((each) => readBackupName(each)?.kind === kind);
  if (newest !== undefined && (await readText(join(project.backups, newest))) === text) return newest;
  const name = backupName(kind, now);
  if (!(await exists(join(project.backups, name))))
    await writeFileAtomic(join(project.backups, name), text, { mode: 0o600 });
  const names = await listFolder(project.backups);
  for (const each of superfluousBackups(names, kind, project.config.retention.backups, [name, ...spared]))
    await remove(join(project.backups, each));
  return name;
}

/** Makes docker/.env, or the inventory, byte for byte what a backup holds. Throws PRECONDITION (exit 6) if somebody has removed it. */
export async function putBack(project: Project, backup: string, kind: BackupKind = 'env'): Promise<void> {
  const text = (await readText(join(project.backups, backup))) ?? hasGone(backup);
  const file = fileOf(project, kind);
  if (text === (await readText(file))) return;
  await writeFileAtomic(file, text, { mode: 0o600 });
}

/** Ids are never given twice: what the inventory and its backups ever gave stays given. */
async function withIdsEverGiven(project: Project, kept: string): Promise<string> {
  parseInventory(kept, project.inventoryFile);
  const names = (await listFolder(project.backups)).filter((name) => readBackupName(name)?.kind === 'inventory');
  const texts = await Promise.all(
    [project.inventoryFile, ...names.map((name) => join(project.backups, name))].map(readText),
  );
  return withLastId(kept, Math.max(0, ...texts.map((text) => highestIdIn(text ?? ''))));
}

function fileOf(project: Project, kind: BackupKind): string {
  return kind === 'env' ? project.envFile : project.inventoryFile;
}

function hasGone(name: string): never {
  return fail(
    'PRECONDITION',
    { en: `the backup ${name} has gone`, zh: `备份 ${name} 已不存在` },
    { hint: { en: 'xingrin backup list', zh: 'xingrin backup list' } },
  );
}
