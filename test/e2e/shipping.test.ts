import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { templateEntries } from '../../src/domain/template.ts';
import { checkDocument } from './documents.ts';

const ROOT = new URL('../../', import.meta.url).pathname;

let folder: string;
let version: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-shipping-'));
  version = await readFile(join(ROOT, 'VERSION'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function must(argv: readonly string[], env: Record<string, string> = {}, cwd = folder): Promise<string> {
  const [file = '', ...args] = argv;
  const base = { HOME: folder, PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8' };
  const result = await execa(file, args, { cwd, extendEnv: false, env: { ...base, ...env }, stdin: 'ignore' });
  return result.stdout;
}

/** What can be asked of an installed xingrin without Docker and a network. */
async function works(program: string, env: Record<string, string>): Promise<void> {
  expect(`${await must([program, '--version'], env)}\n`).toBe(version);
  expect(await must([program, '--lang', 'zh', '--help'], env)).toContain('用法');
  const shop = await mkdtemp(join(folder, 'shop-'));
  const { data } = JSON.parse(await must([program, 'init', shop, '--json'], env)) as { data: { created: string[] } };
  expect(data.created).toEqual(templateEntries().map(({ target }) => target));
  const server = await readFile(join(shop, 'docker/server/server.mjs'), 'utf8');
  expect(server).toBe(await readFile(join(ROOT, 'dist/server.mjs'), 'utf8'));
  await writeFile(join(shop, 'docker/.env'), 'IMAGE_TAG=v1.0.0\n');
  for (const args of [
    ['backup', 'create'],
    ['worker', 'list'],
    ['history'],
    ['config', 'show'],
    ['schema', 'status'],
  ]) {
    const document = await must([program, '-C', shop, '--json', ...args], env);
    await checkDocument(document);
    expect(JSON.parse(document)).toMatchObject({
      ok: true,
      command: ['schema', 'status'].includes(args[0] ?? '') ? args[0] : expect.any(String),
    });
  }
}

describe('the npm package', () => {
  let prefix: string;
  beforeAll(async () => {
    await must(['npm', 'pack', '--ignore-scripts', '--pack-destination', folder], {}, ROOT);
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
    prefix = join(folder, 'prefix');
    // Offline: there is nothing that it needs from elsewhere.
    const quiet = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    await must(['npm', 'install', '--global', '--prefix', prefix, ...quiet, join(folder, tarball)]);
  });

  test('works where it is installed, from its tarball alone', async () => {
    const program = join(prefix, 'bin/xingrin');
    await works(program, {});
    expect(await must([program, 'completion', 'bash'])).toContain('complete -o default');
  });

  test('holds the command, the templates, schemas and types; no sources and no maps', async () => {
    const root = join(prefix, 'lib/node_modules/xingrin');
    const files = await readdir(root, { recursive: true });
    expect((await readdir(root)).toSorted()).toEqual(
      ['README.md', 'README.zh-CN.md', 'VERSION', 'bin', 'dist', 'package.json', 'templates'].toSorted(),
    );
    for (const path of ['dist/schemas/status.json', 'dist/documents.d.ts', 'dist/server.mjs', 'dist/help.zh.txt'])
      expect(files).toContain(path);
    expect(files.filter((path) => path.endsWith('.map') || path.startsWith('dist/executable'))).toEqual([]);
  });

  test('its types say what its documents hold', async () => {
    const user = join(folder, 'user');
    await mkdir(user);
    await writeFile(
      join(user, 'user.ts'),
      `import type { Documents, StatusDocument } from 'xingrin';
export const tag = (status: StatusDocument): string | null => status.ok ? status.data.imageTag : null;
export const hint = (failed: Documents['update']): string | undefined => failed.ok ? undefined : failed.error?.hint;
// @ts-expect-error: there is no such key
export const wrong = (status: StatusDocument): unknown => status.data.imagetag;
`,
    );
    await mkdir(join(user, 'node_modules'));
    await must(['ln', '-s', join(prefix, 'lib/node_modules/xingrin'), join(user, 'node_modules/xingrin')]);
    const flags = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--ignoreConfig',
      '--types',
      '',
    ];
    await must([join(ROOT, 'node_modules/.bin/tsc'), ...flags, 'user.ts'], {}, user);
  });
});

test('the single file works where there is no Node', async () => {
  const made = await must(['npm', 'run', '--silent', 'executable:only'], {}, ROOT);
  const program = join(ROOT, made.trim().split('\n').at(-1) ?? '');
  const bare = join(folder, 'bare');
  await mkdir(bare);
  for (const tool of ['git', 'flock', 'cat']) await must(['ln', '-s', `/usr/bin/${tool}`, join(bare, tool)]);
  await expect(must(['node', '--version'], { PATH: bare })).rejects.toThrow();
  await works(program, { PATH: bare });
  const { stderr } = await execa(program, ['schema', 'status'], { extendEnv: false, env: { PATH: bare } });
  expect(stderr).toBe('');
});
