import { chown, lstat, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { syncFiles, writeFileAtomic } from '../../../src/effects/files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a file that is replaced keeps its owner, its mode, and the symbolic link that leads to it', async () => {
  const [real, name] = [join(folder, 'settings'), join(folder, '.env')];
  await writeFile(real, 'before', { mode: 0o640 });
  await chown(real, 1234, 4321);
  await symlink('settings', name);
  await writeFileAtomic(name, 'after');
  expect((await lstat(name)).isSymbolicLink()).toBe(true);
  expect(await readlink(name)).toBe('settings');
  expect(await readFile(real, 'utf8')).toBe('after');
  const { uid, gid, mode } = await stat(real);
  expect([uid, gid, mode & 0o777]).toEqual([1234, 4321, 0o640]);
});

test('files of which some are gone are waited for', async () => {
  await writeFile(join(folder, 'there'), '');
  await symlink('nowhere', join(folder, 'dangling'));
  const names = ['there', 'gone', 'dangling', 'gone/too'];
  expect(await syncFiles(names.map((name) => join(folder, name)))).toBeUndefined();
});
