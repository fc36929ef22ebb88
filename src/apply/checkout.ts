import { join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { exists, remove } from '../effects/files.ts';
import { requireGit, type Git } from '../effects/git.ts';
import type { Project } from '../observe/project.ts';
import { executor } from './step.ts';

interface CheckoutParams {
  readonly commit: string;
  readonly [key: string]: string;
}

interface CheckoutMemo {
  readonly commit: string;
  readonly branch: string | null;
  readonly [key: string]: string | null;
}

/** Brings the project's files to a commit, and back. The branch goes along; a detached HEAD stays detached. */
export function checkoutExecutor(project: Project) {
  return executor<CheckoutParams, CheckoutMemo>({
    async before() {
      const git = requireGit(project.git, project.root);
      return { commit: (await git.commitOf('HEAD')) ?? '', branch: await git.branch() };
    },
    async apply({ commit }, _context, memo) {
      const git = requireGit(project.git, project.root);
      if (memo.commit === commit) return 'unchanged';
      await move(git, commit, memo.branch);
      return 'done';
    },
    async undo({ commit }, memo) {
      const git = requireGit(project.git, project.root);
      await clearStaleLock(git);
      if ((await git.commitOf('HEAD')) === memo.commit && (await git.changedFiles()).length === 0) return;
      if (await onlyMixed(git, [commit, memo.commit])) await git.run(['reset', '--quiet', '--hard', memo.commit]);
      else await move(git, memo.commit, memo.branch);
    },
  });
}

/** Moves HEAD; git itself refuses where that would overwrite what somebody changed. */
async function move(git: Git, commit: string, branch: string | null): Promise<void> {
  const argv = branch === null ? ['checkout', '--quiet', '--detach', commit] : ['reset', '--quiet', '--keep', commit];
  if ((await git.try(argv)) !== null) return;
  fail(
    'DIRTY_TREE',
    {
      en: `git cannot bring the files to ${commit}: files were changed or are in the way`,
      zh: `git 无法切换到 ${commit}:有文件被修改或被占用`,
    },
    { hint: { en: `see: git -C ${git.root} status`, zh: `请查看:git -C ${git.root} status` } },
  );
}

/** A git that was killed leaves its index locked. We hold the project's lock and have ended its orphans: the lock is nobody's. */
async function clearStaleLock(git: Git): Promise<void> {
  const folder = await git.run(['rev-parse', '--absolute-git-dir']);
  for (const name of ['index.lock', 'HEAD.lock']) {
    if (await exists(join(folder, name))) await remove(join(folder, name));
  }
}

/**
 * Whether every changed file is, byte for byte, that of one of two commits: what a git that was cut short leaves. Then
 * resetting loses nothing of anybody's.
 */
async function onlyMixed(git: Git, commits: readonly string[]): Promise<boolean> {
  for (const path of await git.changedFiles()) {
    const here = await git.try(['hash-object', '--', path]);
    const theirs = await Promise.all(
      commits.map((commit) => git.try(['rev-parse', '--verify', '--quiet', `${commit}:${path}`])),
    );
    if (!theirs.includes(here)) return false;
  }
  return true;
}
