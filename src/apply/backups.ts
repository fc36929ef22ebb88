import { join } from 'node:path';
import { backupName, superfluousBackups } from '../domain/backup.ts';
import { fail } from '../domain/errors.ts';
import { exists, listFolder, makeFolder, readText, remove, writeFileAtomic } from '../effects/files.ts';
import type { Project } from '../observe/project.ts';
import { executor, type Executors } from './step.ts';

interface Memo {
  /** File name of the backup of docker/.env as it was before; null if there was none. */
  readonly backup: string | null;
  readonly [key: string]: string | null;
}

/** Making and bringing back copies of docker/.env. */
export function backupExecutors(project: Project, now: () => Date = () => new Date()): Executors {
  return {
    'backup-env': executor<{ readonly [key: string]: never }>({
      async apply() {
        await backUpEnv(project, now());
        return 'done';
      },
    }),
    'restore-env': executor<{ readonly name: string; readonly [key: string]: string }, Memo>({
      async before({ name }) {
        return { backup: await backUpEnv(project, now(), [name]) };
      },
      async apply({ name }) {
        const text = (await readText(join(project.backups, name))) ?? hasGone(name);
        if (text === (await readText(project.envFile))) return 'unchanged';
        await writeFileAtomic(project.envFile, text, { mode: 0o600 });
        return 'done';
      },
      async undo(_params, { backup }) {
        if (backup === null) await remove(project.envFile);
        else await putBack(project, backup);
      },
    }),
  };
}

/**
 * Copies docker/.env into the backups folder, and removes the oldest backups beyond those that are to be kept. A copy that would
 * say the same as the newest is not made.
 *
 * @param spared backups that stay, however old
 * @returns the backup that holds docker/.env as it is; null if there is nothing to copy
 */
export async function backUpEnv(project: Project, now: Date, spared: readonly string[] = []): Promise<string | null> {
  const text = await readText(project.envFile);
  if (text === null) return null;
  await makeFolder(project.state, 0o700);
  await makeFolder(project.backups, 0o700);
  const newest = (await listFolder(project.backups)).findLast((each) => each.startsWith('env-'));
  if (newest !== undefined && (await readText(join(project.backups, newest))) === text) return newest;
  const name = backupName(now);
  if (!(await exists(join(project.backups, name))))
    await writeFileAtomic(join(project.backups, name), text, { mode: 0o600 });
  const names = await listFolder(project.backups);
  for (const each of superfluousBackups(names, project.config.retention.backups, [name, ...spared]))
    await remove(join(project.backups, each));
  return name;
}

/** Makes docker/.env byte for byte what a backup holds. Throws PRECONDITION (exit 6) if somebody has removed it. */
export async function putBack(project: Project, backup: string): Promise<void> {
  const text = (await readText(join(project.backups, backup))) ?? hasGone(backup);
  if (text === (await readText(project.envFile))) return;
  await writeFileAtomic(project.envFile, text, { mode: 0o600 });
}

function hasGone(name: string): never {
  return fail(
    'PRECONDITION',
    { en: `the backup ${name} has gone`, zh: `备份 ${name} 已不存在` },
    { hint: { en: 'xingrin backup list', zh: 'xingrin backup list' } },
  );
}
