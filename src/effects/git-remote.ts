import { GitError } from 'simple-git';
import { withoutCredentials, type Git } from './git.ts';

/** What became of a push: the remote has it now, or it has refused, in its own words. */
export type PushOutcome = { readonly pushed: true } | { readonly pushed: false; readonly words: string };

/**
 * Pushes one object to one ref of the remote, never by force and nothing beside it. Where the answer got lost the remote is asked
 * again. Throws UNREACHABLE (exit 4) if that has no answer either: then the push may have arrived.
 *
 * @param ref in full: `refs/tags/v1.2.3`
 */
export async function pushObject(git: Git, remote: string, object: string, ref: string): Promise<PushOutcome> {
  try {
    // --progress: a remote that is silent for long counts as dead.
    const options = ['--progress', '--no-follow-tags', '--recurse-submodules=no'];
    await git.run(['push', ...options, remote, `${object}:${ref}`]);
    return { pushed: true };
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    const there = (await git.remoteRefs(remote, ref)).get(ref);
    return there === object ? { pushed: true } : { pushed: false, words: withoutCredentials(error.message) };
  }
}

/** Brings one branch of the remote here, whole, and returns its commit. Throws UNREACHABLE (exit 4). */
export async function fetchBranch(git: Git, remote: string, branch: string): Promise<string> {
  const ref = `refs/remotes/${remote}/${branch}`;
  const whole = (await git.isShallow()) ? ['--unshallow'] : [];
  await fetchRef(git, remote, `+refs/heads/${branch}:${ref}`, whole);
  return git.run(['rev-parse', '--verify', `${ref}^{commit}`]);
}

/** Brings one git tag of the remote here. Throws UNREACHABLE (exit 4). */
export async function fetchTag(git: Git, remote: string, tag: string): Promise<void> {
  await fetchRef(git, remote, `refs/tags/${tag}:refs/tags/${tag}`, []);
}

async function fetchRef(git: Git, remote: string, refspec: string, more: readonly string[]): Promise<void> {
  const options = ['--progress', '--no-tags', '--no-recurse-submodules', '--no-auto-gc', ...more];
  await git.talkTo(remote, ['fetch', ...options, remote, refspec]);
}
