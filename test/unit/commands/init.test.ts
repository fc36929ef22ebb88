import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { init } from '../../../src/commands/init.ts';
import { UserError } from '../../../src/domain/errors.ts';
import { templateEntries } from '../../../src/domain/template.ts';

const TARGETS = templateEntries().map((entry) => entry.target);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-init-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const read = (path: string): Promise<string> => readFile(join(folder, path), 'utf8');
const modeOf = async (path: string): Promise<number> => (await stat(join(folder, path))).mode & 0o777;

describe('init', () => {
  test('writes the whole project, with its modes, and leaves no placeholder behind', async () => {
    const project = join(folder, 'deep', 'Shop 2');
    const result = await init({ directory: project });
    expect(result).toEqual({ created: TARGETS, kept: [] });
    for (const { target, mode } of templateEntries()) {
      expect(await modeOf(join('deep', 'Shop 2', target)), target).toBe(mode);
      expect(await read(join('deep', 'Shop 2', target)), target).not.toMatch(/@@[A-Z_]+@@/);
    }
    expect(await readFile(join(project, 'VERSION'), 'utf8')).toBe('v0.0.0\n');
    expect(await readFile(join(project, 'docker/docker-compose.yml'), 'utf8')).toContain("name: 'shop-2'");
  });

  test('pins the xingrin that wrote it for CI', async () => {
    await init({ directory: folder });
    const version = (await readFile(join(import.meta.dirname, '../../../VERSION'), 'utf8')).trim().replace(/^v/, '');
    expect(await read('.github/workflows/release.yml')).toContain(`XINGRIN_VERSION: '${version}'`);
  });

  test('takes the name it is given', async () => {
    await init({ directory: folder, name: 'shop' });
    expect(await read('docker/docker-compose.dev.yml')).toContain("name: 'shop'");
  });

  test('changes nothing that is there, and says so', async () => {
    await mkdir(join(folder, 'docker'));
    await writeFile(join(folder, 'VERSION'), 'v9.9.9');
    await writeFile(join(folder, 'docker/docker-compose.yml'), 'mine');
    await writeFile(join(folder, 'README.md'), '');
    await chmod(join(folder, 'README.md'), 0o600);
    await writeFile(join(folder, 'other.txt'), 'other');
    const result = await init({ directory: folder });
    expect(result.kept).toEqual(['VERSION', 'docker/docker-compose.yml', 'README.md']);
    expect(result.created).toEqual(TARGETS.filter((path) => !result.kept.includes(path)));
    expect(await read('VERSION')).toBe('v9.9.9');
    expect(await read('docker/docker-compose.yml')).toBe('mine');
    expect(await read('README.md')).toBe('');
    expect(await modeOf('README.md')).toBe(0o600);
    expect(await read('other.txt')).toBe('other');
  });

  test('a second run finds everything there; a run after an interruption writes the rest', async () => {
    await init({ directory: folder });
    await writeFile(join(folder, 'docker/.env.example'), 'edited');
    expect(await init({ directory: folder })).toEqual({ created: [], kept: TARGETS });
    expect(await read('docker/.env.example')).toBe('edited');
    await rm(join(folder, 'stop.sh'));
    expect(await init({ directory: folder })).toMatchObject({ created: ['stop.sh'] });
  });

  test.each(['docker', '.github/workflows'])('a file named %s stops it before anything is written', async (name) => {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), 'a file');
    const before = await readdir(folder, { recursive: true });
    await expect(init({ directory: folder })).rejects.toMatchObject({ code: 'PRECONDITION' });
    expect(await readdir(folder, { recursive: true })).toEqual(before);
  });

  test('a directory that is a file is refused', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(init({ directory: join(folder, 'file') })).rejects.toMatchObject({ code: 'PRECONDITION' });
  });

  test('a bad name is refused before anything is written', async () => {
    await expect(init({ directory: folder, name: 'a;touch x' })).rejects.toBeInstanceOf(UserError);
    expect(await readdir(folder)).toEqual([]);
  });
});
