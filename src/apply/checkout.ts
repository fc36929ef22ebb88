import { join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { exists, remove, syncFiles } from '../effects/files.ts';
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
      // Git does not wait for the disk to have them; the next step is only noted when it has.
      const moved = await git.run(['diff', '--name-only', '-z', '--no-renames', memo.commit, commit]);
      await syncFiles(namesIn(moved).map((path) => join(git.root, path)));
      return 'done';
    },
    async undo({ commit }, memo) {
      const git = requireGit(project.git, project.root);
      await clearStaleLocks(git, memo.branch);
      if ((await git.commitOf('HEAD')) !== memo.commit || (await git.changedFiles()).length > 0) {
        if (await onlyMixed(git, [commit, memo.commit])) await git.run(['reset', '--quiet', '--hard', memo.commit]);
        else await move(git, memo.commit, memo.branch);
      }
      await removeLeftOvers(git, commit, memo.commit);
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

/** A git that was killed leaves locks. We hold the project's lock and have ended its orphans: they are nobody's. */
async function clearStaleLocks(git: Git, branch: string | null): Promise<void> {
  const own = await git.run(['rev-parse', '--absolute-git-dir']);
  const common = await git.run(['rev-parse', '--path-format=absolute', '--git-common-dir']);
  const locks = ['index.lock', 'HEAD.lock', 'ORIG_HEAD.lock'].map((name) => join(own, name));
  if (branch !== null) locks.push(join(common, 'refs', 'heads', `${branch}.lock`));
  for (const lock of locks) if (await exists(lock)) await remove(lock);
}

/** Files that only the other commit has, written by a git that was killed before it noted them: they would be in its way later. */
async function removeLeftOvers(git: Git, from: string, to: string): Promise<void> {
  const added = await git.run(['diff', '--name-only', '-z', '--no-renames', '--diff-filter=A', to, from]);
  for (const path of namesIn(added)) {
    if (!(await exists(join(git.root, path)))) continue;
    const [here, theirs] = await Promise.all([
      git.try(['hash-object', '--', path]),
      git.try(['rev-parse', '--verify', '--quiet', `${from}:${path}`]),
    ]);
    if (here !== null && here === theirs) await remove(join(git.root, path));
  }
}

/** As git tells names with `-z`. */
function namesIn(text: string): string[] {
  return text.split('\0').filter((name) => name !== '');
}

/** What git calls a file without content: what a power cut makes of one that did not get to the disk. */
const EMPTY = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391';

/**
 * Whether every changed file is, byte for byte, that of one of two commits, or empty where they differ: what a git that was cut
 * short leaves. Then resetting loses nothing of anybody's.
 */
async function onlyMixed(git: Git, commits: readonly string[]): Promise<boolean> {
  for (const path of await git.changedFiles()) {
    const here = await git.try(['hash-object', '--', path]);
    const theirs = await Promise.all(
      commits.map((commit) => git.try(['rev-parse', '--verify', '--quiet', `${commit}:${path}`])),
    );
    const differs = new Set(theirs).size > 1;
    if (!theirs.includes(here) && !(here === EMPTY && differs)) return false;
  }
  return true;
}
