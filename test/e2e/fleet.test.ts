import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../src/effects/clock.ts';
import { openHost, type Host } from './hosts.ts';
import { makeProduct, type Product, type Server } from './product.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let product: Product;
let server: Server;
let w1: Host;
let w2: Host;

beforeAll(async () => {
  rig = await openRig();
  [product, w1, w2] = await Promise.all([makeProduct(rig), openHost(rig, 'w1'), openHost(rig, 'w2')]);
  server = await product.checkout('main');
});
afterAll(() => rig?.close());

/** The agent that runs on a host, as its engine tells. */
async function agentOf(host: Host): Promise<string> {
  const format = '{{.Config.Image}} {{.State.Status}} {{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}';
  return (await host.sh(['docker', 'inspect', '--format', format, 'xingrin-agent'])).stdout;
}
const agentAt = (version: string): string => `${product.reference('agent', version)} running healthy always`;
const add = (host: Host, ...more: string[]): string[] => [
  '--yes',
  'worker',
  'add',
  host.destination,
  '--identity',
  host.identity,
  '--name',
  host.name,
  ...more,
];

test('before the stack is installed there is nothing that a worker could follow', async () => {
  expect(await server.json(add(w1))).toMatchObject({ exitCode: 6, error: { code: 'PRECONDITION' } });
  const example = await readFile(join(server.root, 'docker/.env.example'), 'utf8');
  await writeFile(server.env, example.replace('PUBLIC_HOST=localhost', `PUBLIC_HOST=${rig.engine.address}`));
  await server.ok(['--yes', 'install', '--version', 'v1.0.0']);
});

test('worker add brings a host to the version, and the second time there is nothing to do', async () => {
  await server.ok(add(w1));
  expect(await agentOf(w1)).toBe(agentAt('v1.0.0'));
  const images = await w1.must(['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}']);
  expect(images.split('\n')).toContain(product.reference('worker', 'v1.0.0'));
  const id = await w1.must(['docker', 'inspect', '--format', '{{.Id}}', 'xingrin-agent']);
  const again = await server.run(add(w1));
  expect(again).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('already') });
  expect(await w1.must(['docker', 'inspect', '--format', '{{.Id}}', 'xingrin-agent'])).toBe(id);
});

test('an image tag that was moved is refused, and the host is as it was', async () => {
  const before = await w2.must(['cat', '/root/.ssh/authorized_keys']);
  await product.retag('worker', 'v1.1.0', 'v1.0.0');
  const failed = await server.json(add(w2));
  expect(failed).toMatchObject({ exitCode: 6, error: { code: 'DIGEST_DIFFERS' } });
  expect(await w2.must(['docker', 'ps', '--all', '--quiet'])).toBe('');
  expect(await w2.must(['cat', '/root/.ssh/authorized_keys'])).toBe(before);
  expect((await server.ok(['worker', 'list'])).data['workers']).toHaveLength(1);
});

interface Seen {
  readonly name: string;
  readonly local: boolean;
  readonly status: string;
  readonly version: string | null;
  readonly lastSeen: string | null;
}

/** `name status version` of every worker, as `status` tells; each must have been heard by the control plane. */
async function fleet(): Promise<string[]> {
  const workers = (await server.ok(['status'])).data['workers'] as Seen[];
  return workers.map(({ name, status, version, lastSeen }) => `${name} ${status} ${version} ${lastSeen !== null}`);
}
const allOn = (version: string): string[] => ['local', 'w1', 'w2'].map((name) => `${name} online ${version} true`);

test('the control plane hears every worker, and status says so', async () => {
  const lock = JSON.parse(await readFile(join(server.root, 'releases/v1.0.0.json'), 'utf8')) as {
    images: Record<string, { digest: string }>;
  };
  await product.retag('worker', lock.images['xingrin-worker']?.digest ?? '', 'v1.0.0');
  await server.ok(add(w2));
  expect(await fleet()).toEqual(allOn('v1.0.0'));
  expect((await server.ok(['status'])).data).toMatchObject({ consistent: true });
  const listed = (await server.run(['worker', 'list'])).stdout;
  expect(listed).toMatch(/w1 .*online +v1\.0\.0/);
});

test('update brings the stack and the workers; one that is cut off is named, blocks nobody, and follows later', async () => {
  await w2.cut();
  const partial = await server.json(['update', '--yes']);
  expect(partial).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL', hint: 'xingrin worker update w2' } });
  expect(partial.data).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
  const places = partial.data.steps?.filter(({ host }) => host !== 'main').map(({ kind, host }) => `${kind} ${host}`);
  expect(places).toEqual(['pull-on-worker w1', 'pull-on-worker w1', 'swap-agent w1']);
  expect(await agentOf(w1)).toBe(agentAt('v1.1.0'));
  expect(await agentOf(w2)).toBe(agentAt('v1.0.0').replace(' healthy', ' unhealthy'));
  await w2.restore();
  await server.ok(['--yes', 'worker', 'update', 'w2']);
  expect(await agentOf(w2)).toBe(agentAt('v1.1.0'));
  expect(await fleet()).toEqual(allOn('v1.1.0'));
  expect((await server.ok(['update', '--yes'])).data.steps).toEqual([]);
});

test('rollback takes the workers along, without the registry', async () => {
  await rig.sandbox.registry.down();
  try {
    await server.ok(['rollback', '--yes']);
  } finally {
    await rig.sandbox.registry.up();
  }
  expect([await agentOf(w1), await agentOf(w2)]).toEqual([agentAt('v1.0.0'), agentAt('v1.0.0')]);
  expect(await fleet()).toEqual(allOn('v1.0.0'));
});

test('a removed worker keeps nothing of ours that runs', async () => {
  await server.ok(['--yes', 'worker', 'remove', 'w1']);
  expect(await w1.must(['docker', 'ps', '--all', '--quiet'])).toBe('');
  await until('the server to forget it', 30_000, async () => !(await fleet()).some((each) => each.startsWith('w1')));
});
