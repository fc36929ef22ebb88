import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fail } from '../domain/errors.ts';

const CONFLICT = 75;

export interface HeldLock {
  release(): Promise<void>;
}

/**
 * Takes a kernel lock (flock) on a file, creating it if absent; null if somebody else holds it. The lock lives in a helper
 * process that ends when our end of its pipe closes, so it is free again the moment this process is gone, however it went.
 *
 * @param wait seconds that somebody else may take to let go of it
 */
export async function holdFileLock(path: string, wait = 0): Promise<HeldLock | null> {
  const argv = [
    '--exclusive',
    '--timeout',
    String(wait),
    '--no-fork',
    '--conflict-exit-code',
    String(CONFLICT),
    path,
    'cat',
  ];
  // A process group of its own: Ctrl-C in the terminal must not free the lock while we are still undoing.
  const child = spawn('flock', argv, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  // Where there is no flock there is an error instead of an end.
  const ended = once(child, 'close').then(
    ([code]) => code as number | null,
    (error: NodeJS.ErrnoException) => error,
  );
  child.stdin.on('error', () => {});
  child.stdin.write('.');
  const answer = await Promise.race([once(child.stdout, 'data').then(() => 'held' as const), ended]);
  if (answer === 'held') {
    return {
      async release() {
        child.stdin.end();
        await ended;
      },
    };
  }
  if (answer === CONFLICT) return null;
  fail(
    'FAILED',
    { en: `cannot lock ${path}: flock did not work`, zh: `无法锁定 ${path}:flock 未能执行` },
    {
      hint: {
        en: 'install util-linux (it brings flock) and check that you may write to that folder',
        zh: '请安装 util-linux(提供 flock),并检查该目录是否可写',
      },
      cause: answer,
    },
  );
}
