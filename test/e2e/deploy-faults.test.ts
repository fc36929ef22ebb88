import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { journalIsClosed } from './kill.ts';
import { makeProduct, SMALL_STACK, type Document, type Product, type Server, type Snapshot } from './product.ts';
import { ENTRY, openRig, type Rig } from './rig.ts';

/** Tells what it was told; says no while there is a file that says so. */
const HOOK = `#!/bin/sh
if [ -e "$XINGRIN_PROJECT/../no" ]; then echo 'not on a Friday' >&2; exit 3; fi
echo "$XINGRIN_HOOK|$XINGRIN_COMMAND|$XINGRIN_FROM|$XINGRIN_TO|$(cat VERSION)" >>"$XINGRIN_PROJECT/../told"
`;

let rig: Rig;
let product: Product;
let server: Server;
let before: Snapshot;

beforeAll(async () => {
  rig = await openRig();
  product = await makeProduct(rig, {
    files: {
      ...SMALL_STACK,
      'xingrin.yaml': `health:\n  timeout: 120\n  stable: 1\nhooks:\n  pre-update: hooks/tell.sh\n  post-update: hooks/tell.sh\n`,
      'hooks/tell.sh': HOOK,
    },
  });
  server = await product.checkout('server');
  await server.git('reset', '--quiet', '--hard', 'HEAD~2');
  await server.ok(['install', '--yes']);
});
afterAll(() => rig?.close());

beforeEach(async () => {
  before = await server.snapshot();
});
// Whatever happened: what ran goes on, and everything says v1.0.0.
afterEach(async () => {
  expect(await journalIsClosed(server)).toBe(true);
  expect((await server.ok(['status'])).data).toMatchObject({ imageTag: 'v1.0.0', consistent: true });
});

/** Refused, and nothing was touched: not even a container was made anew. */
async function refused(args: readonly string[], exitCode: number, code: string): Promise<Document> {
  const document = await server.json([...args, '--yes']);
  expect(document).toMatchObject({ ok: false, exitCode, error: { code } });
  expect(document.error?.hint ?? '').not.toBe('');
  expect(await server.snapshot()).toEqual(before);
  return document;
}

describe('an update is refused before anything stops', () => {
  test('while the registry is down', async () => {
    await rig.sandbox.registry.down();
    try {
      const { error } = await refused(['update'], 6, 'IMAGE_MISSING');
      expect(error?.message).toMatch(/xingrin-.*:v1\.1\.0/);
    } finally {
      await rig.sandbox.registry.up();
    }
  });

  test('with one image of five missing, which is named', async () => {
    await product.release('v1.2.0', { images: { worker: 'FROM base\nLABEL gone=1\n' } });
    await product.forget('worker', 'v1.2.0');
    const { error } = await refused(['update', 'v1.2.0'], 6, 'IMAGE_MISSING');
    expect(error?.message).toContain(product.reference('worker', 'v1.2.0'));
  });

  test('with an image tag that was moved since it was released', async () => {
    await product.release('v1.3.0');
    await product.retag('frontend', 'v1.0.0', 'v1.3.0');
    const { error } = await refused(['update', 'v1.3.0'], 6, 'DIGEST_DIFFERS');
    expect(error?.message).toContain(product.reference('frontend', 'v1.3.0'));
  });

  test('to a version that nobody released, or in a tree with changes', async () => {
    await refused(['update', 'v9.9.9'], 6, 'PRECONDITION');
    const readme = join(server.root, 'README.md');
    await writeFile(readme, 'mine\n');
    before = await server.snapshot();
    const { error } = await refused(['update', 'v1.1.0'], 6, 'DIRTY_TREE');
    expect(JSON.stringify(error)).toContain('README.md');
    await server.git('checkout', '--quiet', '--', 'README.md');
  });
});

describe('a release that does not work is taken back: exit 7', () => {
  test.each([
    { what: 'ends by itself', line: 'CMD ["/bin/sh", "-c", "echo cannot read the moon; exit 3"]', says: 'the moon' },
    { what: 'cannot be started', line: 'CMD ["/no/such/program"]', says: 'no such' },
  ])('a service that $what', async ({ what, line, says }) => {
    const version = what === 'ends by itself' ? 'v1.4.0' : 'v1.5.0';
    await product.release(version, { images: { frontend: `FROM base\n${line}\n` } });
    const { env, head, version: old } = before;
    const failed = await server.json(['update', version, '--yes']);
    expect(failed).toMatchObject({ ok: false, exitCode: 7, error: { code: 'UNHEALTHY' } });
    expect(failed.error?.message).toContain('everything is back on v1.0.0');
    expect(`${failed.error?.evidence}`.toLowerCase()).toContain(says);
    expect(failed.data.steps?.map(({ status }) => status)).toContain('undone');
    const after = await server.snapshot();
    expect(after).toMatchObject({ env, head, version: old, changedFiles: '', history: before.history });
  });
});

describe('Docker', () => {
  test('is missing: says so, and what installs it', async () => {
    const bin = join(rig.folder, 'bin-without-docker');
    await mkdir(bin);
    for (const folder of ['/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
      for (const name of await readdir(folder)) {
        if (!name.startsWith('docker')) await symlink(join(folder, name), join(bin, name)).catch(() => {});
      }
    }
    const document = await server.json(['update', '--yes'], { env: { PATH: bin } });
    expect(document).toMatchObject({
      exitCode: 6,
      error: { code: 'ENGINE_MISSING', message: 'docker is not installed' },
    });
    expect(document.error?.hint).toContain('apt-get install');
  });

  test('does not run: says where it was looked for, and what starts it', async () => {
    const address = `unix://${join(rig.folder, 'nobody.sock')}`;
    const document = await server.json(['update', '--yes'], { env: { DOCKER_HOST: address } });
    expect(document).toMatchObject({ exitCode: 6, error: { code: 'ENGINE_MISSING' } });
    expect(document.error?.message).toContain(address);
    expect(document.error?.hint).toContain('start docker');
  });

  test('may not be used by this user: says whose group to join', async () => {
    const socket = rig.engine.dockerHost.replace('unix://', '');
    const words = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
    // Somebody without rights cannot read a root's project either: what is asked is a copy of its files.
    const copy = join(rig.folder, 'copy');
    await rig.must(['git', 'clone', '--quiet', product.remote, copy]);
    await rig.must(['cp', server.env, join(copy, 'docker/.env')]);
    await rig.must(['chown', '-R', '65534:65534', copy]);
    const open = ['chmod', 'o+x', rig.folder, ...parents(socket)];
    await rig.must(open);
    await rig.must(['chmod', 'o-rwx', socket]);
    const env = { HOME: copy, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' };
    const asked = [process.execPath, ENTRY, '-C', copy, '--json', 'update', '--yes'];
    const { exitCode, stdout } = await rig.run([...words, ...asked], { env });
    const document = JSON.parse(stdout) as Document;
    expect([exitCode, document.error]).toMatchObject([6, { code: 'ENGINE_MISSING' }]);
    expect(document.error?.message).toContain('no permission to use Docker');
    expect(document.error?.hint).toContain('usermod -aG docker');
    await rm(copy, { recursive: true });
  });
});

function parents(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_part, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

describe('somebody else', () => {
  test('is at it: the second ends with 5 and names the first; Ctrl-C takes the first back', async () => {
    // A service that goes on starting: the update waits for it, so that there is a middle to be in.
    const starting = "    healthcheck: {test: [CMD, 'false'], interval: 1s, retries: 1000, start_period: 300s}\n";
    const file = 'docker/docker-compose.yml';
    await product.release('v1.6.0', { files: { [file]: `${SMALL_STACK[file]}${starting}` } });
    const child = spawn(
      process.execPath,
      [ENTRY, '-C', server.root, 'update', 'v1.6.0', '--yes', '--progress', 'plain'],
      {
        env: { ...rig.env },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the switch', () => /· \[.*switch two/.test(said));
    const second = await server.json(['rollback', '--yes']);
    expect(second).toMatchObject({ exitCode: 5, error: { code: 'LOCKED' } });
    expect(second.error?.message).toContain('xingrin update');
    expect(second.error?.message).toContain(String(child.pid));
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(130);
    expect(said).toContain('everything is back on v1.0.0');
    const { env, head, version } = before;
    expect(await server.snapshot()).toMatchObject({ env, head, version, changedFiles: '' });
  });
});

test('a hook that says no stops an update; one that does not is told before and after, from what and to what', async () => {
  const [no, told] = [join(rig.folder, 'no'), join(rig.folder, 'told')];
  await writeFile(no, '');
  const { error } = await refused(['update', 'v1.1.0'], 6, 'PRECONDITION');
  expect(error).toMatchObject({ message: expect.stringContaining('pre-update'), evidence: 'not on a Friday' });
  await rm(no);
  await rm(told, { force: true });
  await server.ok(['--yes', 'update', 'v1.1.0']);
  await server.ok(['--yes', 'rollback']);
  expect((await readFile(told, 'utf8')).trim().split('\n')).toEqual([
    'pre-update|update|v1.0.0|v1.1.0|v1.0.0',
    'post-update|update|v1.0.0|v1.1.0|v1.1.0',
  ]);
});
