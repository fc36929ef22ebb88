import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { makeFolder, remove } from './files.ts';

/** Roots that this process has already rid of what killed ones left there. */
const swept = new Set<string>();

/**
 * Makes an empty folder below `root`, to be removed by its user. The first call of a process removes what earlier processes left:
 * to be called under the project's lock only.
 */
export async function scratchFolder(root: string): Promise<string> {
  if (!swept.has(root)) await remove(root);
  swept.add(root);
  const folder = join(root, randomBytes(6).toString('hex'));
  await makeFolder(folder, 0o700);
  return folder;
}

/** Runs `work` with a folder of its own, which is gone afterwards. */
export async function withScratch<T>(root: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await scratchFolder(root);
  try {
    return await work(folder);
  } finally {
    await remove(folder);
  }
}
