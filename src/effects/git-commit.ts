import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from './files.ts';
import type { Git } from './git.ts';

export interface Author {
  readonly name: string;
  readonly email: string;
}

/** A commit to be made without touching a branch, the index or a file of the checkout. */
export interface CommitRequest {
  /** The commit whose files it starts from. */
  readonly base: string;
  /** By path from the top of the repository: texts that replace or join those files. */
  readonly files: Readonly<Record<string, string>>;
  readonly parents: readonly string[];
  readonly message: string;
  readonly author: Author;
  /** Seconds since 1970: with it the commit's id is settled by this request alone. */
  readonly date: number;
}

/**
 * Makes a commit and returns its id. The same request makes the same commit, so it may be asked for again after a crash.
 *
 * @param scratch an empty folder of the caller's, for the index and the new files
 */
export async function writeCommit(git: Git, scratch: string, request: CommitRequest): Promise<string> {
  const { base, files, parents, message, author, date } = request;
  const apart = git.with({ GIT_INDEX_FILE: join(scratch, 'index'), ...identity(author, date) });
  await apart.run(['read-tree', base]);
  for (const [path, text] of Object.entries(files)) {
    const file = join(scratch, 'blob');
    await writeFileAtomic(file, text);
    const blob = await apart.run(['hash-object', '-w', '--no-filters', '--', file]);
    await apart.run(['update-index', '--add', '--cacheinfo', `100644,${blob},${path}`]);
  }
  const tree = await apart.run(['write-tree']);
  const lineage = parents.flatMap((parent) => ['-p', parent]);
  return apart.run(['commit-tree', '--no-gpg-sign', tree, ...lineage, '-m', message]);
}

/** Puts an annotated git tag on a commit, here. */
export async function writeTag(git: Git, tag: string, commit: string, author: Author, date: number): Promise<void> {
  await git.with(identity(author, date)).run(['tag', '--annotate', '--message', tag, tag, commit]);
}

function identity({ name, email }: Author, date: number): Record<string, string> {
  const stamp = `${date} +0000`;
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_AUTHOR_DATE: stamp,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
    GIT_COMMITTER_DATE: stamp,
  };
}

/** Who commits are by: as git would have it, else ourselves. */
export async function authorOf(git: Git): Promise<Author> {
  const name = process.env['GIT_AUTHOR_NAME'] || (await git.try(['config', '--get', 'user.name']));
  const email = process.env['GIT_AUTHOR_EMAIL'] || (await git.try(['config', '--get', 'user.email']));
  return { name: name || 'xingrin', email: email || 'xingrin@localhost' };
}

/**
 * Writes the files of a commit below a folder, as a checkout would (line ends, links, filters), and nothing else: no `.git`, no
 * untracked files, no edits.
 *
 * @param treeish a commit, or `commit:folder`
 * @param target an existing empty folder
 */
export async function exportTree(git: Git, treeish: string, target: string): Promise<void> {
  await makeFolder(target, 0o755);
  const apart = git.with({ GIT_INDEX_FILE: `${target}.index` });
  await apart.run(['read-tree', treeish]);
  await apart.run(['checkout-index', '--all', '--force', `--prefix=${target}/`]);
}
