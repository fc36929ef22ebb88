import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { ENTRY, type Outcome, type Rig } from './rig.ts';

/** Whether every operation in a project's journal has an end. */
export async function journalIsClosed({ root }: { readonly root: string }): Promise<boolean> {
  const folder = join(root, '.xingrin', 'journal');
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.every((text) => text.trimEnd().split('\n').at(-1)?.includes('"type":"end"'));
}

/**
 * Runs xingrin in a project and kills it with -9 at its `when`-th write to disk: the journal, the lock and every state file wait for
 * the disk, so that one after the other every moment between two effects is met. Null if it ended before that.
 */
export async function killedAtWrite(
  rig: Rig,
  project: { readonly root: string; readonly repository?: string },
  args: readonly string[],
  when: number,
): Promise<Outcome | null> {
  const strace = ['--follow-forks', '--quiet=all', '--trace=fsync', '--output=/dev/null'];
  const inject = `--inject=fsync:signal=KILL:when=${when}`;
  const { exitCode, signal, stdout, stderr } = await execa(
    'strace',
    [...strace, inject, process.execPath, ENTRY, ...args],
    {
      reject: false,
      extendEnv: false,
      cwd: project.root,
      stdin: 'ignore',
      // One thread for files, since the calls are counted thread by thread.
      env: {
        ...rig.env,
        ...(project.repository === undefined ? {} : { DOCKER_USER: project.repository }),
        UV_THREADPOOL_SIZE: '1',
      },
    },
  );
  if (exitCode === 0) return null;
  if (signal !== 'SIGKILL') throw new Error(`not killed, but ${exitCode ?? signal}:\n${stderr}`);
  return { exitCode: 137, stdout, stderr };
}
