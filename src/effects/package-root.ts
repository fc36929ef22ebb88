import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exists } from './files.ts';

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
