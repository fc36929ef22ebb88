import { readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { listFolder } from './files.ts';

/** Takes a name for a holder: a symbolic link, since that comes into being with its content. False if the name is taken. */
export async function claim(folder: string, name: string, holder: string): Promise<boolean> {
  try {
    await symlink(holder, join(folder, name));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Gives all names of a holder back. */
export async function releaseClaims(folder: string, holder: string): Promise<void> {
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    if ((await readlink(path).catch(() => null)) === holder) await unlink(path).catch(() => {});
  }
}
