import { fail } from '../domain/errors.ts';
import { same } from '../domain/text.ts';
import { isVersion, versionFromFile, type Version } from '../domain/version.ts';
import { authorOf, type Author } from '../effects/git-commit.ts';
import { fetchBranch } from '../effects/git-remote.ts';
import type { Git } from '../effects/git.ts';
import { REMOTE, type Project } from './project.ts';

/** The checkout as far as a release depends on it. Read without the network. */
export interface CheckoutFacts {
  readonly hasRemote: boolean;
  readonly shallow: boolean;
  /** Null when HEAD is detached. */
  readonly branch: string | null;
  /** Null in a repository without a commit. */
  readonly head: string | null;
  /** Tracked files that differ from HEAD. */
  readonly changed: readonly string[];
}

/** Where the main branch stands at the remote, and which versions there are. */
export interface ReleaseFacts {
  /** The remote's main branch: what the release is made on. */
  readonly base: string;
  /** Commits that only the checkout has, and that only the remote has. */
  readonly ahead: number;
  readonly behind: number;
  /** VERSION on the main branch; null where there is none. */
  readonly released: Version | null;
  /** Git tags that are versions. */
  readonly tagsHere: readonly Version[];
  readonly tagsThere: readonly Version[];
  /** VERSION as git knows it, from the top of the repository. */
  readonly versionPath: string;
  readonly author: Author;
}

/** Reads the checkout. Throws PRECONDITION (exit 6) where there is no git. */
export async function observeCheckout(git: Git): Promise<CheckoutFacts> {
  return {
    hasRemote: (await git.remoteUrl(REMOTE)) !== null,
    shallow: await git.isShallow(),
    branch: await git.branch(),
    head: await git.commitOf('HEAD'),
    changed: await git.changedFiles(),
  };
}

/** Reads the remote and compares. Throws UNREACHABLE (exit 4), PRECONDITION where the remote has no main branch. */
export async function observeRelease(project: Project, git: Git): Promise<ReleaseFacts> {
  const { mainBranch } = project.config;
  const refs = await git.remoteRefs(REMOTE, `refs/heads/${mainBranch}`, 'refs/tags/*');
  requireBranch(refs.get(`refs/heads/${mainBranch}`), mainBranch);
  const base = await fetchBranch(git, REMOTE, mainBranch);
  const [ahead = 0, behind = 0] = (await git.run(['rev-list', '--left-right', '--count', `HEAD...${base}`]))
    .split(/\s+/)
    .map(Number);
  const versionPath = await versionPathOf(git);
  return {
    base,
    ahead,
    behind,
    released: await versionAt(git, base, versionPath),
    tagsHere: (await git.tags()).filter(isVersion),
    tagsThere: [...refs.keys()].map((ref) => ref.replace(/^refs\/tags\/|\^\{\}$/g, '')).filter(isVersion),
    versionPath,
    author: await authorOf(git),
  };
}

export function refuseWithoutRemote(): never {
  return fail(
    'PRECONDITION',
    { en: `there is no git remote "${REMOTE}"`, zh: `没有名为 "${REMOTE}" 的 git 远端` },
    { hint: same(`git remote add ${REMOTE} …`) },
  );
}

export function requireBranch(commit: string | undefined, branch: string): void {
  if (commit !== undefined) return;
  fail(
    'PRECONDITION',
    { en: `the remote "${REMOTE}" has no branch ${branch}`, zh: `远端 "${REMOTE}" 上没有分支 ${branch}` },
    { hint: same(`git push --set-upstream ${REMOTE} ${branch}`) },
  );
}

/** The version that VERSION holds at a commit. Throws BAD_INPUT (exit 2) naming file and rule; null if there is no file. */
export async function versionAt(git: Git, commit: string, path: string): Promise<Version | null> {
  const text = await git.fileAt(commit, path);
  return text === null ? null : versionFromFile(text, `VERSION (${commit.slice(0, 10)})`);
}

/** VERSION from the top of the repository: a project may be a folder of a larger one. */
export async function versionPathOf(git: Git): Promise<string> {
  return `${await prefixOf(git)}VERSION`;
}

/** The project's folder from the top of the repository, with a final slash; empty where they are the same. */
export async function prefixOf(git: Git): Promise<string> {
  return git.run(['rev-parse', '--show-prefix']);
}
