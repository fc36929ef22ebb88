import { join } from 'node:path';
import { exists } from '../effects/files.ts';
import { run } from '../effects/process.ts';
import type { TreeEntry } from '../effects/trees.ts';

/** Where programs look for the one that loads their libraries. */
const LOADERS: Record<string, string> = {
  x64: '/lib64/ld-linux-x86-64.so.2',
  arm64: '/lib/ld-linux-aarch64.so.1',
};

/**
 * Programs with the libraries they need, ready to go into an image at the same paths.
 *
 * @param tree where they are: an unpacked tree, or '' for the running system
 * @param programs paths in that tree
 * @param extra more libraries, by their paths in that tree, which programs load only while they run
 */
export async function withLibraries(
  tree: string,
  programs: readonly string[],
  extra: readonly string[] = [],
): Promise<Map<string, TreeEntry>> {
  const { loader, folders } = await loaderOf(tree);
  const entries = new Map<string, TreeEntry>();
  entries.set(LOADERS[process.arch] ?? '', { copy: loader, mode: 0o755 });
  for (const file of [...programs, ...extra]) {
    entries.set(file, { copy: join(tree, file), mode: 0o755 });
    for (const library of await librariesOf(loader, folders, join(tree, file))) {
      entries.set(library.slice(tree.length), { copy: library, mode: 0o755 });
    }
  }
  return entries;
}

async function librariesOf(loader: string, folders: readonly string[], program: string): Promise<string[]> {
  const result = await run([loader, '--library-path', folders.join(':'), '--list', program]);
  if (result.code !== 0 || result.stdout.includes('not found')) {
    throw new Error(`libraries of ${program}: ${result.stderr}${result.stdout}`);
  }
  return result.stdout.split('\n').flatMap((line) => / => (\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

async function loaderOf(tree: string): Promise<{ loader: string; folders: string[] }> {
  const name = (LOADERS[process.arch] ?? '').split('/').at(-1) ?? '';
  const triplet = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
  const folders = ['lib', 'usr/lib'].map((folder) => `${tree}/${folder}/${triplet}`);
  for (const folder of folders) {
    const loader = join(folder, name);
    if (name !== '' && (await exists(loader))) return { loader, folders };
  }
  throw new Error(`no ${name} for ${process.arch} in ${tree || '/'}`);
}
