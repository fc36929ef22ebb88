import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
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
  let archive: Buffer;
  beforeAll(async () => {
    await must(['npm', 'pack', '--ignore-scripts', '--pack-destination', folder], {}, ROOT);
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
    archive = await readFile(join(folder, tarball));
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

  test('is what the action installs and runs, each argument as it is', async () => {
    const registry = await serveNpm(archive);
    try {
      const home = await mkdtemp(join(folder, 'runner-'));
      const env = {
        HOME: home,
        npm_config_prefix: join(home, 'prefix'),
        npm_config_registry: `http://127.0.0.1:${(registry.address() as AddressInfo).port}/`,
        PATH: `${join(home, 'prefix/bin')}:${process.env['PATH']}`,
        GITHUB_OUTPUT: join(home, 'output'),
      };
      const [install = '', runs = ''] = (await scripts('action.yml')).values();
      await must(['bash', '-e', '-c', install], { ...env, VERSION: version.trim() }, home);
      expect(await readFile(env.GITHUB_OUTPUT, 'utf8')).toBe(`version=${version}`);
      const ARGS = '--json\ninit\na shop; $(touch owned) `id`\n';
      const document = await must(['bash', '-e', '-c', runs], { ...env, ARGS }, home);
      expect(JSON.parse(document)).toMatchObject({ ok: true, command: 'init' });
      expect(await readdir(home)).toContain('a shop; $(touch owned) `id`');
      expect(await readdir(home)).not.toContain('owned');
    } finally {
      registry.close();
    }
  });
});

describe('VERSION on main, at the end of a release', () => {
  const author = { GIT_AUTHOR_NAME: 'x', GIT_AUTHOR_EMAIL: 'x@example.org' };
  const env = { ...author, GIT_COMMITTER_NAME: 'x', GIT_COMMITTER_EMAIL: 'x@example.org', GITHUB_REF_NAME: 'v2.0.0' };
  let move: string;
  let remote: string;
  beforeAll(async () => {
    move = (await scripts('.github/workflows/release.yml')).get('Move VERSION on main') ?? '';
  });

  /** A remote whose main is at v1.0.0 and that has a tag on top of it; a clone as the workflow has it. */
  async function released(): Promise<string> {
    const top = await mkdtemp(join(folder, 'git-'));
    remote = join(top, 'remote.git');
    const source = join(top, 'source');
    const git = (...args: string[]): Promise<string> => must(['git', ...args], env, source);
    await must(['git', 'init', '--quiet', '--bare', '--initial-branch=main', remote]);
    await must(['git', 'clone', '--quiet', remote, source]);
    const commit = async (text: string): Promise<void> => {
      await writeFile(join(source, 'VERSION'), `${text}\n`);
      await git('add', '--all');
      await git('commit', '--quiet', '--message', text);
    };
    await commit('v1.0.0');
    await git('push', '--quiet', 'origin', 'HEAD:main');
    await commit('v2.0.0');
    await git('tag', '--annotate', '--message', 'v2.0.0', 'v2.0.0');
    await git('push', '--quiet', 'origin', 'v2.0.0');
    const clone = join(top, 'clone');
    await must(['git', 'clone', '--quiet', remote, clone]);
    await git('checkout', '--quiet', '--detach', 'v2.0.0');
    return clone;
  }
  const on = (...args: string[]): Promise<string> => must(['git', '--git-dir', remote, ...args]);
  const run = (clone: string): Promise<string> => must(['bash', '-e', '-c', move], env, clone);

  test('main becomes the release where it has not moved, and twice is once', async () => {
    const clone = await released();
    await run(clone);
    expect(await on('rev-parse', 'main')).toBe(await on('rev-parse', 'v2.0.0^{commit}'));
    await run(clone);
    expect(await on('rev-list', '--count', 'main')).toBe('2');
  });

  test('what came to main meanwhile stays', async () => {
    const clone = await released();
    const other = join(clone, '..', 'other');
    await must(['git', 'clone', '--quiet', remote, other]);
    await writeFile(join(other, 'news'), 'x');
    await must(['git', 'add', '--all'], env, other);
    await must(['git', 'commit', '--quiet', '--message', 'news'], env, other);
    await must(['git', 'push', '--quiet', 'origin', 'HEAD:main'], env, other);
    await run(clone);
    expect(await on('show', 'main:VERSION')).toBe('v2.0.0');
    expect(await on('show', 'main:news')).toBe('x');
  });
});

/** The shell scripts of an action or a workflow in their order, by the names of their steps. */
async function scripts(file: string): Promise<Map<string, string>> {
  interface Step {
    readonly name?: string;
    readonly run?: string;
  }
  const read = parse(await readFile(join(ROOT, file), 'utf8')) as {
    readonly runs?: { readonly steps: readonly Step[] };
    readonly jobs?: Readonly<Record<string, { readonly steps: readonly Step[] }>>;
  };
  const steps = read.runs?.steps ?? Object.values(read.jobs ?? {}).flatMap((job) => job.steps);
  const shown = steps.filter((step): step is Step & { run: string } => step.run !== undefined);
  return new Map(shown.map((step, index) => [step.name ?? String(index), step.run]));
}

/** A registry that has this package and no other. */
async function serveNpm(archive: Buffer): Promise<Server> {
  const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>;
  const released = (await readFile(join(ROOT, 'VERSION'), 'utf8')).trim().slice(1);
  const server = createServer(({ url }, answer) => {
    if (url === '/xingrin.tgz') return answer.end(archive);
    if (url !== '/xingrin') return answer.writeHead(404).end('{}');
    const tarball = `http://127.0.0.1:${(server.address() as AddressInfo).port}/xingrin.tgz`;
    const integrity = `sha512-${createHash('sha512').update(archive).digest('base64')}`;
    const { name, bin } = manifest;
    const versions = { [released]: { name, bin, version: released, dist: { tarball, integrity } } };
    return answer.end(JSON.stringify({ name, versions, 'dist-tags': { latest: released } }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

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
