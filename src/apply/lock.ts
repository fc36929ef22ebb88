import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fail } from '../domain/errors.ts';
import { writeFileAtomic, readText, makeFolder, remove } from '../effects/files.ts';
import { holdFileLock, type HeldLock } from '../effects/file-lock.ts';
import { isAlive, whoAmI } from '../effects/identity.ts';

/** Milliseconds that we wait for a lock which nobody living claims, and between two looks at it. */
const PASSING = 5_000;
const LOOK = 50;

/** Who holds a project's lock, for the one who has to wait. */
export interface LockHolder {
  readonly command: string;
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly since: string;
}

/**
 * Runs `work` as the only operation on the project. The kernel holds the lock for as long as this process lives, so a dead
 * owner blocks nobody. Throws LOCKED (exit 5) naming the holder if it is held.
 *
 * @param state the project's state folder
 */
export async function withLock<T>(state: string, holder: LockHolder, work: () => Promise<T>): Promise<T> {
  await makeFolder(state, 0o700);
  const held = await takeLock(state);
  if (held === null) return refuse(await readHolder(state));
  try {
    await writeFileAtomic(holderPath(state), `${JSON.stringify(holder)}\n`, { mode: 0o600 });
    return await work();
  } finally {
    await remove(holderPath(state));
    await held.release();
  }
}

/**
 * Takes the lock, or null if somebody works here. Held, but by nobody who could be named: its owner has died this moment and the
 * kernel is about to free it, somebody only looks who holds it, or the owner has not written his name yet. All three pass.
 */
async function takeLock(state: string): Promise<HeldLock | null> {
  const end = performance.now() + PASSING;
  for (;;) {
    const held = await holdFileLock(join(state, 'lock'));
    if (held !== null) return held;
    const holder = await readHolder(state);
    if ((holder !== null && !hasDied(holder)) || performance.now() > end) return null;
    await pause(LOOK);
  }
}

/** A process of another machine (or container) cannot be looked at: it counts as living. */
function hasDied({ host, pid }: LockHolder): boolean {
  return host === whoAmI().host && !isAlive(pid);
}

/** Who holds the lock now; null if nobody does. Changes nothing. */
export async function lockHolder(state: string): Promise<LockHolder | null> {
  if ((await readText(join(state, 'lock'))) === null) return null;
  const held = await holdFileLock(join(state, 'lock'));
  if (held === null) return (await readHolder(state)) ?? unknownHolder();
  await held.release();
  return null;
}

function refuse(holder: LockHolder | null): never {
  const { command, user, host, pid, since } = holder ?? unknownHolder();
  fail(
    'LOCKED',
    {
      en: `another operation is running: ${command}, by ${user}@${host} (pid ${pid}) since ${since}`,
      zh: `另一个操作正在进行:${command},执行者 ${user}@${host}(进程 ${pid}),开始于 ${since}`,
    },
    {
      hint: {
        en: 'wait for it to end, or stop it with Ctrl-C where it runs; if that process dies, its lock is gone with it',
        zh: '请等待其结束,或在其终端按 Ctrl-C 停止;该进程一旦结束,锁会自动释放',
      },
    },
  );
}

function holderPath(state: string): string {
  return join(state, 'lock.json');
}

async function readHolder(state: string): Promise<LockHolder | null> {
  const text = await readText(holderPath(state));
  return text === null ? null : (JSON.parse(text) as LockHolder);
}

function unknownHolder(): LockHolder {
  return { command: 'xingrin', user: '?', host: '?', pid: 0, since: '?' };
}
