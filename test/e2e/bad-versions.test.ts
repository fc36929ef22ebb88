import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ENTRY = new URL('../../bin/xingrin.js', import.meta.url).pathname;

const BAD = [
  'v1.2',
  'v01.2.3',
  'v1.2.3+b',
  'v1;touch x',
  '$(touch x)',
  '-v1.2.3',
  'latest',
  'v1.2.3\nv2.0.0',
  `v1.2.${'3'.repeat(300)}`,
  '1.2.3',
  '',
];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-e2e-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A project as far as its files go. */
async function project(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  const root = await mkdtemp(join(folder, 'project-'));
  const all = { VERSION: 'v1.0.0\n', 'docker/docker-compose.yml': 'services: {}\n', ...files };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

/** Runs a command that must end with code 2, without having written a file or started a program; what it said. */
async function refused(root: string, args: readonly string[]): Promise<string> {
  const list = async (): Promise<string> =>
    (await execa('find', [root, '-printf', '%p %y %s %m %T@\\n'])).stdout.split('\n').toSorted().join('\n');
  const [before, programs] = [await list(), join(folder, 'programs')];
  const strace = ['--follow-forks', '--quiet=all', '--trace=execve', `--output=${programs}`];
  const run = await execa('strace', [...strace, process.execPath, ENTRY, '-C', root, ...args], {
    reject: false,
    stdin: 'ignore',
    env: { LANG: 'C.UTF-8', NO_COLOR: '1' },
  });
  const started = (await readFile(programs, 'utf8')).split('\n').filter((line) => line.includes('execve('));
  expect([args, run.exitCode, run.stdout, started.length]).toEqual([args, 2, '', 1]);
  expect(await list()).toBe(before);
  return run.stderr;
}

describe('a version that is none: exit 2 names the rule; nothing is written, nothing is started', () => {
  test('as an argument', async () => {
    const root = await project({ 'docker/.env': 'IMAGE_TAG=v1.0.0\n' });
    for (const version of BAD) {
      expect(await refused(root, ['update', '--yes', '--', version])).toMatch(/ is not a version: (it|its numbers) m/);
    }
    for (const args of [
      ['install', '--yes', '--version', 'v1.2'],
      ['rollback', '--yes', 'v1;touch x'],
      ['update', '--yes', '-v1.2.3'],
    ])
      expect(await refused(root, args)).toMatch(/ is not a version: it m/);
  });

  test('in VERSION', async () => {
    for (const text of ['v1.2\n', 'v1.2.3;id\n', '<<<<<<< HEAD\nv1.0.0\n', 'v1.0.0\u0000\n', '']) {
      const root = await project({ VERSION: text });
      expect(await refused(root, ['install', '--yes'])).toMatch(/VERSION: .* is not a version: it m/);
      expect(await refused(root, ['status'])).toMatch(/VERSION: .* is not a version: it m/);
    }
  });

  test('in docker/.env', async () => {
    const commands = ['install', 'update', 'rollback', 'start', 'stop', 'restart', 'uninstall', 'status'];
    for (const value of [
      'v1.2',
      "'v1;touch x'",
      "'$(touch x)'",
      'latest',
      '"v1.0.0\\nv2"',
      `v1.2.${'3'.repeat(300)}`,
    ]) {
      const root = await project({ 'docker/.env': `# mine\nIMAGE_TAG=${value}\n` });
      // Every command asks the same; one after the other they see every value.
      const command = commands.shift() ?? 'update';
      const said = await refused(root, [command, ...(command === 'status' ? [] : ['--yes'])]);
      expect(said).toMatch(/IMAGE_TAG in .*docker\/\.env: .* is not a version: (it|its numbers) m/);
    }
    const root = await project({ 'docker/.env': 'IMAGE_TAG=latest\n' });
    for (const command of commands)
      expect(await refused(root, [command, ...(command === 'status' ? [] : ['--yes'])])).toContain('IMAGE_TAG in');
  });

  test('a docker/.env that cannot be read as one: exit 2 with the line', async () => {
    for (const [text, line] of [
      ['IMAGE_TAG=v1.0.0\nA="never closed\n', 2],
      ['IMAGE_TAG=v1.0.0\n\n=======\n', 3],
    ] as const) {
      const root = await project({ 'docker/.env': text });
      expect(await refused(root, ['update', '--yes'])).toContain(`docker/.env, line ${line}: `);
    }
  });
});
