import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
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

test('update brings the workers along; one that is away is named, and keeps nobody from anything', async () => {
  await server.ok(['--yes', 'update', 'v1.1.0']);
  expect(await agentOf(w1)).toBe(agentAt('v1.1.0'));
  await server.ok(add(w2));
  expect(await agentOf(w2)).toBe(agentAt('v1.1.0'));
  const good = await server.ok(['status']);
  expect(good.data).toMatchObject({ consistent: true });
  expect(good.data['workers']).toMatchObject([
    { id: 1, local: true, status: 'online', version: 'v1.1.0' },
    { id: 2, name: 'w1', status: 'online', version: 'v1.1.0' },
    { name: 'w2', status: 'online', version: 'v1.1.0', reason: null },
  ]);

  await product.release('v1.2.0');
  await w2.cut();
  const document = await server.json(['--yes', 'update']);
  expect(document).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL', hint: 'xingrin worker update w2' } });
  expect(document.error?.message).toContain('w2');
  expect(document.data).toMatchObject({ imageTag: 'v1.2.0', consistent: true });
  expect(document.data['workers']).toMatchObject([
    {},
    { status: 'online', version: 'v1.2.0' },
    { status: 'unreachable' },
  ]);
  expect(await agentOf(w1)).toBe(agentAt('v1.2.0'));

  await w2.restore();
  const late = await server.ok(['status']);
  expect(late.data).toMatchObject({ consistent: false });
  expect((late.data['workers'] as unknown[])[2]).toMatchObject({ status: 'outdated', version: 'v1.1.0' });
  await server.ok(['--yes', 'worker', 'update', 'w2']);
  expect(await agentOf(w2)).toBe(agentAt('v1.2.0'));
});

test('a worker that is removed keeps nothing of ours', async () => {
  await server.ok(['--yes', 'worker', 'remove', 'w1']);
  expect(await w1.must(['docker', 'ps', '--all', '--quiet'])).toBe('');
  expect(await w1.must(['cat', '/root/.ssh/authorized_keys'])).not.toContain(' xingrin');
  await server.ok(['--yes', 'rollback']);
  expect(await agentOf(w2)).toBe(agentAt('v1.1.0'));
});
