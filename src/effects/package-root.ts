import { dirname, join } from 'node:path';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { exists, readText } from './files.ts';

/** Whether xingrin runs as one file that has Node in it: then there is no package around it. */
export function isOneFile(): boolean {
  return isSea();
}

/** The folder of the xingrin package that runs: the same for the bundle in dist/ and for the sources. */
export async function packageRoot(): Promise<string> {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!(await exists(join(folder, 'templates', 'project', 'VERSION')))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the xingrin package has no templates folder: install it again');
    folder = parent;
  }
  return folder;
}

/** The text of a file of the package, wherever it is kept. Throws if there is none. */
export async function packageFile(path: string): Promise<string> {
  if (isSea()) return getAsset(path, 'utf8');
  const text = await readText(join(await packageRoot(), path));
  if (text === null) throw new Error(`the xingrin package has no ${path}: install it again`);
  return text;
}
