import { mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { listFolder, makeFolder, remove } from './files.ts';
import type { Git } from './git.ts';
import { isAlive } from './identity.ts';
import { run } from './process.ts';

export interface StageInput {
  readonly root: string;
  /** The Compose folder, relative to the root. */
  readonly directory: string;
  readonly state: string;
  readonly git: Git | null;
  /** Files of this commit; the files as they are if null. */
  readonly commit: string | null;
  readonly envText: string;
}

export interface Stage {
  /** Stands for the project's root; paths below it are the real ones, moved. */
  readonly root: string;
  /** Absolute; has the same base name as the real Compose folder, which Compose's default project name comes from. */
  readonly directory: string;
  remove(): Promise<void>;
}

/**
 * Lays out a Compose folder aside, as it would be with other files or another .env, so that Compose can be asked about it
 * before anything is changed. Holds secrets: its folder is readable by its owner only and is removed right after.
 */
export async function stageProject({ root, directory, state, git, commit, envText }: StageInput): Promise<Stage> {
  const parent = join(state, 'tmp');
  await makeFolder(state, 0o700);
  await makeFolder(parent, 0o700);
  const folder = await mkdtemp(join(parent, `stage-${process.pid}-`));
  const place = join(folder, directory);
  try {
    if (commit !== null && git !== null) await extract(git, commit, directory, folder);
    else await mirror(join(root, directory), place);
    await remove(join(place, '.env'));
    await writeFile(join(place, '.env'), envText, { mode: 0o600 });
  } catch (error) {
    await remove(folder);
    throw error;
  }
  return { root: folder, directory: place, remove: () => remove(folder) };
}

/** Removes the stages of processes that are no more. */
export async function removeDeadStages(state: string): Promise<void> {
  const parent = join(state, 'tmp');
  for (const name of await listFolder(parent)) {
    const [, pid] = /^stage-(\d+)-/.exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) await remove(join(parent, name));
  }
}

/** The folder of a commit, as git would check it out. */
async function extract(git: Git, commit: string, directory: string, into: string): Promise<void> {
  const archive = join(into, `${basename(into)}.tar`);
  await git.run(['archive', '--format=tar', `--output=${archive}`, commit, '--', directory]);
  const result = await run(['tar', '--extract', '--no-same-owner', `--file=${archive}`, `--directory=${into}`]);
  await remove(archive);
  if (result.code === 0) return;
  fail(
    'FAILED',
    { en: `cannot unpack the files of ${commit}`, zh: `无法解包提交 ${commit} 的文件` },
    { evidence: result.stderr },
  );
}

/** Links to everything in the real folder: Compose reads through them. */
async function mirror(real: string, place: string): Promise<void> {
  await makeFolder(place, 0o700);
  for (const name of await listFolder(real)) {
    if (name !== '.env') await symlink(join(real, name), join(place, name));
  }
}
