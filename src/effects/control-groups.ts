import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { listFolder } from './files.ts';

const ROOT = '/sys/fs/cgroup';

/**
 * Removes a control group and those below it from every hierarchy (version 1 and 2).
 *
 * @returns false if a process is still leaving one of them; ask again
 */
export async function removeControlGroup(name: string): Promise<boolean> {
  let gone = true;
  for (const hierarchy of ['', ...(await listFolder(ROOT))]) {
    gone = (await removeTree(join(ROOT, hierarchy, name))) && gone;
  }
  return gone;
}

async function removeTree(group: string): Promise<boolean> {
  try {
    for (const entry of await readdir(group, { withFileTypes: true })) {
      if (entry.isDirectory()) await removeTree(join(group, entry.name));
    }
    await rmdir(group);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
  }
}
