import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, cp, mkdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { exists } from './files.ts';

/** One entry of a tree: a copy of a file or of a whole folder, a text, a link, a folder. Modes are 0644, 0755 unless given. */
export type TreeEntry =
  | { readonly copy: string; readonly mode?: number }
  | { readonly copyAll: string }
  | { readonly text: string; readonly mode?: number }
  | { readonly link: string }
  | { readonly folder: true; readonly mode?: number };

/** Writes entries, by their path, below a folder. Links are followed when a file is copied. */
export async function writeTree(root: string, entries: ReadonlyMap<string, TreeEntry>): Promise<void> {
  for (const [path, entry] of entries) {
    const target = join(root, path);
    await mkdir(dirname(target), { recursive: true });
    if ('link' in entry) {
      await symlink(entry.link, target);
      continue;
    }
    if ('copyAll' in entry) {
      await cp(entry.copyAll, target, { recursive: true, verbatimSymlinks: true });
      continue;
    }
    if ('copy' in entry) await copyFile(entry.copy, target);
    else if ('text' in entry) await writeFile(target, entry.text);
    else await mkdir(target, { recursive: true });
    await chmod(target, entry.mode ?? ('folder' in entry ? 0o755 : 0o644));
  }
}

/** Moves a finished folder to its place; if somebody else has put one there meanwhile, that one stays. */
export async function moveFolder(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await rename(from, to);
  } catch (error) {
    if (!(await exists(to))) throw error;
  }
}

/** `sha256:…` of a file, and its size in bytes. */
export async function digestOfFile(path: string): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return { digest: `sha256:${hash.digest('hex')}`, size: (await stat(path)).size };
}
