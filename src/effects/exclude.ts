import { join } from 'node:path';
import { readText, writeFileAtomic } from './files.ts';
import type { Git } from './git.ts';

/** Makes git overlook a path in this checkout, for projects whose .gitignore does not know it. */
export async function keepOutOfGit(git: Git, pattern: string): Promise<void> {
  const path = join(await git.run(['rev-parse', '--path-format=absolute', '--git-common-dir']), 'info', 'exclude');
  const text = (await readText(path)) ?? '';
  if (text.split('\n').includes(pattern)) return;
  await writeFileAtomic(path, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${pattern}\n`);
}
