import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { envValue, parseEnvFile } from '../../src/domain/env-file.ts';
import { makeProduct, type Product, type Server } from './product.ts';
import { ENTRY, openRig, type Outcome, type Rig } from './rig.ts';

let rig: Rig;
let product: Product;
let server: Server;

beforeAll(async () => {
  rig = await openRig();
  product = await makeProduct(rig);
});
afterAll(() => rig?.close());

/** The front door's certificate is our own: only what it answers matters here. */
async function frontDoor(): Promise<{ version: string }> {
  const url = `https://${rig.engine.address}:8083/api/`;
  return JSON.parse(await rig.must(['curl', '--silent', '--show-error', '--insecure', '--fail', url])) as {
    version: string;
  };
}

async function settings(): Promise<Record<string, string | undefined>> {
  const parsed = parseEnvFile(await readFile(server.env, 'utf8'), server.env);
  return Object.fromEntries(parsed.entries.map(({ key }) => [key, envValue(parsed, key)]));
}

async function runningVersion(version: string): Promise<void> {
  const { data } = await server.ok(['status']);
  const own = { id: 1, name: 'local', host: null, local: true, status: 'online', version, reason: null };
  expect(data).toMatchObject({ version, imageTag: version, consistent: true, workers: [own] });
  const services = data['services'] as { service: string; image: string; state: string; health: string }[];
  expect(services.map(({ service, image, state, health }) => `${service} ${image} ${state} ${health}`)).toEqual(
    (['agent', 'frontend', 'nginx', 'server'] as const).map(
      (name) => `${name} ${product.reference(name, version)} running healthy`,
    ),
  );
  expect(await frontDoor()).toMatchObject({ version });
  expect(await server.git('status', '--porcelain')).toBe('');
}

/** Runs a command on a machine without Docker's plugins, then asks for Compose's version in the same place. */
function withoutPlugins(words: string, env: Record<string, string> = {}): Promise<Outcome> {
  const hide =
    'for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do ' +
    'if [ -d $d/docker/cli-plugins ]; then mount -t tmpfs none $d/docker/cli-plugins; fi; done; ';
  const script = `${hide} "$@" ${words}; code=$?; docker compose version --short; exit $code`;
  return rig.run(['unshare', '--mount', 'sh', '-c', script, 'sh', process.execPath, ENTRY, '-C', server.root], { env });
}

// The tests of this block are one journey: each goes on where the one before ended.
describe('from a checkout to a running stack, forward and back', () => {
  test('a checkout that was never installed says so, and what to type', async () => {
    server = await product.checkout('server');
    await server.git('reset', '--quiet', '--hard', 'HEAD~2');
    expect(await readFile(join(server.root, 'VERSION'), 'utf8')).toBe('v1.0.0\n');
    const status = await server.run(['status']);
    expect(status.exitCode).toBe(0);
    expect(status.stdout).toContain('not installed');
    expect(status.stdout).toContain('xingrin install');
    for (const command of ['update', 'rollback', 'start', 'stop', 'uninstall']) {
      const refused = await server.json([command, '--yes']);
      expect(refused).toMatchObject({ exitCode: 6, command, error: { code: 'PRECONDITION', hint: 'xingrin install' } });
    }
  });

  test('install makes secrets, pulls, starts, waits for health', async () => {
    const document = await server.ok(['install', '--yes']);
    const head = await server.git('rev-parse', 'HEAD');
    expect(document.data).toMatchObject({ from: null, to: 'v1.0.0', commit: head });
    expect(document.data.steps?.map(({ kind, host, status }) => `${kind} ${host} ${status}`)).toEqual([
      ...Array.from({ length: 5 }, () => 'pull-image main done'),
      'verify-images main done',
      'hold-stack main done',
      'write-env main done',
      'certificate main done',
      ...Array.from({ length: 4 }, () => 'switch-service main done'),
      'check-health main done',
      'record-deployment main done',
    ]);
    await runningVersion('v1.0.0');
    expect((await stat(server.env)).mode & 0o777).toBe(0o600);
    expect((await settings())['AGENT_TOKEN']).toMatch(/^[0-9a-f]{64}$/);
    // The worker image is not a service; the first task shall not wait for it.
    await rig.must(['docker', 'image', 'inspect', product.reference('worker', 'v1.0.0')]);
  });

  test('a second install keeps docker/.env byte for byte and recreates nothing', async () => {
    const edited = `${await readFile(server.env, 'utf8')}\n# mine\nMY_OWN='a$b # c'\n`;
    await rig.must(['tee', server.env], { input: edited });
    const before = await server.snapshot();
    const again = await server.ok(['install', '--yes']);
    expect(again.data).toMatchObject({ from: 'v1.0.0', to: 'v1.0.0', steps: [], consistent: true });
    expect(await server.snapshot()).toEqual(before);
  });

  test('update brings images, files, VERSION and IMAGE_TAG to the new release', async () => {
    const before = await settings();
    const old = await server.services();
    const document = await server.ok(['update', '--yes']);
    expect(document.data).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
    expect(document.data['commit']).toBe(await server.git('rev-parse', 'HEAD'));
    expect(document.data.steps?.map(({ kind }) => kind)).toContain('checkout');
    await runningVersion('v1.1.0');
    expect(await settings()).toEqual({ ...before, IMAGE_TAG: 'v1.1.0' });
    const now = await server.services();
    for (const [service, { id, image }] of Object.entries(now)) {
      expect(id).not.toBe(old[service]?.id);
      expect(image).not.toBe(old[service]?.image);
    }
    const nothing = await server.ok(['update', '--yes']);
    expect(nothing.data).toMatchObject({ from: 'v1.1.0', to: 'v1.1.0', steps: [] });
    expect(await server.services()).toEqual(now);
  });

  test('rollback, and rollback again, with the registry and the git remote gone', async () => {
    await rig.sandbox.registry.down();
    await rig.must(['mv', product.remote, `${product.remote}.away`]);
    try {
      const back = await server.ok(['rollback', '--yes']);
      expect(back.data).toMatchObject({ from: 'v1.1.0', to: 'v1.0.0' });
      await runningVersion('v1.0.0');
      const forth = await server.ok(['rollback', '--yes']);
      expect(forth.data).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
      await runningVersion('v1.1.0');
      const named = await server.ok(['rollback', 'v1.0.0', '--yes']);
      expect(named.data).toMatchObject({ from: 'v1.1.0', to: 'v1.0.0' });
      await runningVersion('v1.0.0');
      const never = await server.json(['rollback', 'v9.9.9', '--yes']);
      expect(never).toMatchObject({ exitCode: 6, error: { code: 'PRECONDITION' } });
      expect(never.error?.hint).toContain('v1.1.0');
    } finally {
      await rig.must(['mv', `${product.remote}.away`, product.remote]);
      await rig.sandbox.registry.up();
    }
  });

  test('stop keeps the containers; start needs neither registry nor git remote', async () => {
    const before = await server.snapshot();
    const stopped = await server.ok(['stop', '--yes']);
    expect(stopped.data.steps?.map(({ kind }) => kind)).toEqual(['hold-stack', 'stop-stack']);
    const states = Object.values(await server.services()).map(({ state }) => state.split(' ')[0]);
    expect(states).toEqual(['exited', 'exited', 'exited', 'exited']);
    const status = await server.json(['status']);
    expect(status.data).toMatchObject({ consistent: false });
    expect((await server.ok(['stop', '--yes'])).data.steps).toEqual([]);

    await rig.sandbox.registry.down();
    await rig.must(['mv', product.remote, `${product.remote}.away`]);
    try {
      await server.ok(['start', '--yes']);
    } finally {
      await rig.must(['mv', `${product.remote}.away`, product.remote]);
      await rig.sandbox.registry.up();
    }
    await runningVersion('v1.0.0');
    expect(await server.snapshot()).toEqual(before);
    const restarted = await server.ok(['restart', '--yes']);
    expect(restarted.data.steps?.map(({ kind }) => kind)).toEqual(['hold-stack', 'restart-stack', 'check-health']);
    expect(await server.snapshot()).toEqual(before);
  });

  test('plain Compose agrees: it finds nothing to do', async () => {
    const before = await server.services();
    await rig.must(['docker', 'compose', 'up', '--detach'], { cwd: join(server.root, 'docker') });
    expect(await server.services()).toEqual(before);
  });

  test('history tells what was deployed, logs what the services said', async () => {
    const { data } = await server.ok(['history']);
    const deployments = data['deployments'] as { command: string; version: string }[];
    expect(deployments.map(({ command, version }) => `${command} ${version}`)).toEqual([
      'rollback v1.0.0',
      'rollback v1.1.0',
      'rollback v1.0.0',
      'update v1.1.0',
      'install v1.0.0',
    ]);
    const logs = await server.ok(['logs', 'server']);
    expect((logs.data['lines'] as string[]).join('\n')).toContain('"message":"serving","port":8888,"version":"v1.0.0"');
    const unknown = await server.json(['logs', 'nobody']);
    expect(unknown).toMatchObject({ exitCode: 2, error: { code: 'USAGE' } });
    expect(unknown.error?.hint).toContain('nginx');
  });

  test('speaks Chinese when asked', async () => {
    const status = await server.run(['--lang', 'zh', 'status']);
    expect(status.stdout).toContain('一致');
    expect(status.stdout).toContain('服务');
    const plan = await server.run(['--lang', 'zh', 'update', '--dry-run']);
    expect(plan.stdout).toContain('切换 server 到 v1.1.0');
    const refused = await server.json(['--lang', 'zh', 'update', 'v9.9.9', '--yes']);
    expect(refused.error).toMatchObject({ code: 'PRECONDITION', message: '没有版本 v9.9.9' });
    const env = { LANG: 'zh_CN.UTF-8' };
    expect((await server.json(['uninstall'], { env })).error?.message).toContain('确认');
  });

  test('uninstall keeps data and settings; install brings everything back', async () => {
    const before = await settings();
    const removed = await server.ok(['uninstall', '--yes']);
    expect(removed.data).toMatchObject({ from: 'v1.0.0', to: null, purged: false });
    expect(await server.services()).toEqual({});
    expect(await settings()).toEqual(before);
    await server.ok(['install', '--yes', '--no-frontend']);
    expect(Object.keys(await server.services()).toSorted()).toEqual(['agent', 'nginx', 'server']);
    expect(await settings()).toEqual(before);
    // Somebody left the frontend out on purpose: nobody misses it, and an update does not bring it.
    const { data: updated } = await server.ok(['update', '--yes']);
    expect(updated).toMatchObject({ consistent: true, leftOut: ['frontend'] });
    expect(Object.keys(await server.services()).toSorted()).toEqual(['agent', 'nginx', 'server']);
    expect(await frontDoor()).toMatchObject({ version: 'v1.1.0' });
    const { data: doctor } = await server.json(['doctor']);
    expect(JSON.stringify(doctor)).toContain('3 of 3 run; left out: frontend');
    // Also where nothing runs: whoever updates has not asked for it.
    await server.ok(['uninstall', '--yes']);
    await server.ok(['update', '--yes']);
    expect(Object.keys(await server.services()).toSorted()).toEqual(['agent', 'nginx', 'server']);
    const started = await server.ok(['start', '--yes']);
    expect(started.data).toMatchObject({ consistent: true, leftOut: [] });
    await runningVersion('v1.1.0');
  });

  test('install gets Compose from the packages of the system where it is missing, if it is told to', async () => {
    await server.ok(['uninstall', '--yes']);
    const refused = await withoutPlugins('install');
    expect(refused.exitCode).toBe(6);
    expect(refused.stderr).toContain('Docker Compose is not installed');
    expect(refused.stderr).toContain('docker-compose');
    // The first Compose, a program of its own, is of no use.
    const bin = join(rig.folder, 'compose-v1');
    await mkdir(bin);
    await writeFile(join(bin, 'docker-compose'), '#!/bin/sh\necho 1.29.2\n', { mode: 0o755 });
    const old = await withoutPlugins('update --yes', { PATH: `${bin}:${rig.env['PATH'] ?? ''}` });
    expect(old.exitCode).toBe(6);
    expect(old.stderr).toContain('Docker Compose 1.29.2 is too old: v2 or later is needed');
    expect(old.stderr).toMatch(/apt-get .*docker-compose/);

    const installed = await withoutPlugins('install --yes');
    expect(installed.stderr).toContain("install Docker Compose from the system's packages");
    expect(`${installed.exitCode} ${installed.stdout.split('\n').at(-1)}`).toMatch(/^0 v?[2-9]/);
    await runningVersion('v1.1.0');
  });
});
