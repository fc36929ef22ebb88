import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openHost, type Host } from './hosts.ts';
import { makeProduct, type Document, type Product, type Server } from './product.ts';
import { openRig, type Rig } from './rig.ts';

interface Pruned {
  readonly freed: number;
  readonly hosts: readonly {
    readonly host: string;
    readonly images: string[];
    readonly containers: string[];
    readonly left: string[];
    readonly freed: number;
    readonly error: string | null;
  }[];
}

const CONFIG = `health:
  timeout: 60
  stable: 1
retention:
  deployments: 2
  taskDays: 0
`;

let rig: Rig;
let product: Product;
let server: Server;
let w1: Host;
let w2: Host;
beforeAll(async () => {
  rig = await openRig();
  [product, w1, w2] = await Promise.all([
    makeProduct(rig, { files: { 'xingrin.yaml': CONFIG } }),
    openHost(rig, 'w1'),
    openHost(rig, 'w2'),
  ]);
  await product.release('v1.2.0', { images: { worker: 'FROM base\nRUN head -c 3000000 /dev/urandom > /big\n' } });
  await product.release('v1.3.0');
  server = await product.checkout('server');
  expect((await server.run(['prune', '--yes'])).exitCode).toBe(6);
  await server.ok(['install', '--version', 'v1.0.0', '--yes']);
  await server.ok(['update', 'v1.1.0', '--yes']);
  await server.ok(['update', 'v1.3.0', '--yes']);
  for (const [host, name] of [
    [w1, 'w1'],
    [w2, 'w2'],
  ] as const) {
    const words = ['worker', 'add', host.destination, '--name', name, '--identity', host.identity];
    await server.ok([...words, '--no-bootstrap', '--yes']);
  }
  const worker = (version: string): string => product.reference('worker', version);
  for (const version of ['v1.0.0', 'v1.2.0', 'v1.3.0']) await w1.must(['docker', 'pull', '--quiet', worker(version)]);
  await w1.must(['docker', 'pull', '--quiet', 'busybox:1.37']);
  await w1.must(['docker', 'tag', 'busybox:1.37', 'somebody/xingrin-worker:v0.1.0']);
  const project = await rig
    .must(['docker', 'ps', '--quiet', '--filter', 'label=com.docker.compose.service=server'])
    .then((id) =>
      rig.must(['docker', 'inspect', '--format', '{{index .Config.Labels "com.docker.compose.project"}}', id]),
    );
  const task = (name: string, ours: string, image: string, ...command: string[]): Promise<string> => {
    const labels = ['--label', `xingrin.task=${name}`, '--label', `xingrin.project=${ours}`];
    return w1.must(['docker', 'run', '--detach', '--name', `xingrin-task-${name}`, ...labels, image, ...command]);
  };
  await task('ended', project, worker('v1.2.0'), 'true');
  await task('running', project, worker('v1.0.0'), 'sleep', '1000');
  await task('elsewhere', 'elsewhere', worker('v1.3.0'), 'true');
  await w1.must(['docker', 'wait', 'xingrin-task-ended', 'xingrin-task-elsewhere']);
  await w2.must(['docker', 'pull', '--quiet', worker('v1.2.0')]);
  expect((await server.run(['task', 'run', '--id', 'here', '--', 'true'])).exitCode).toBe(0);
});
afterAll(() => rig.close());

const imagesOf = async (host: Host): Promise<string[]> =>
  (await host.must(['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'])).split('\n').toSorted();
const imagesHere = async (): Promise<string[]> =>
  (await rig.must(['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}}'])).split('\n').toSorted();
const dataOf = (document: Document): Pruned => document.data as unknown as Pruned;

describe('prune', () => {
  test('says beforehand what it frees on each host, and changes nothing without a yes', async () => {
    const before = [await imagesHere(), await imagesOf(w1)];
    const plan = await server.ok(['prune', '--dry-run']);
    const steps = plan.data.steps ?? [];
    expect(steps.map(({ kind, host }) => `${kind} ${host}`)).toEqual([
      'prune-containers main',
      'prune-containers w1',
      'prune-images main',
      'prune-images w1',
      'prune-images w2',
      'prune-records main',
    ]);
    expect(steps.find(({ host, kind }) => host === 'w1' && kind === 'prune-images')?.title).toMatch(/frees 3\.0 MB/);
    const refused = await server.run(['prune']);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toMatch(/w2\n.*frees [\d.]+ MB/);
    expect([await imagesHere(), await imagesOf(w1)]).toEqual(before);
  });

  test('removes what is old and nobody uses, everywhere but on the host that is away, which it names', async () => {
    await w2.cut();
    const document = await server.json(['prune', '--yes']);
    expect(document).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL' } });
    expect(document.error?.message).toContain('w2');
    expect(document.warnings.join()).toContain('w2');
    const [main, first, second] = dataOf(document).hosts;
    expect(main?.images.toSorted()).toEqual(
      (['agent', 'frontend', 'nginx', 'server', 'worker'] as const).map((name) => product.reference(name, 'v1.0.0')),
    );
    expect(first).toMatchObject({
      images: [product.reference('worker', 'v1.2.0')],
      containers: ['xingrin-task-ended'],
      left: [],
    });
    expect(first?.freed).toBeGreaterThanOrEqual(3_000_000);
    expect(first?.freed).toBeLessThan(3_100_000);
    expect(second?.error).not.toBeNull();

    expect((await imagesHere()).filter((name) => name.includes('xingrin-')).length).toBe(10);
    // v1.0.0 is what a task runs there; the other two are in force, and somebody else's.
    expect((await imagesOf(w1)).filter((name) => name.includes('xingrin-'))).toEqual([
      product.reference('worker', 'v1.0.0'),
      product.reference('worker', 'v1.3.0'),
      'somebody/xingrin-worker:v0.1.0',
    ]);
    const names = await w1.must(['docker', 'ps', '--all', '--format', '{{.Names}}']);
    expect(names.split('\n').toSorted()).toEqual(['xingrin-task-elsewhere', 'xingrin-task-running']);
    await w2.restore();
  });

  test('does the rest when the host is back, and finds nothing more to do after that', async () => {
    const document = await server.ok(['prune', '--yes']);
    expect(dataOf(document).hosts[2]).toMatchObject({ host: 'w2', images: [product.reference('worker', 'v1.2.0')] });
    expect((await server.ok(['task', 'list'])).data['tasks']).not.toContainEqual(
      expect.objectContaining({ id: 'here' }),
    );
    expect((await server.run(['task', 'logs', 'here'])).exitCode).toBe(2);
    const again = await server.run(['prune', '--lang', 'zh']);
    expect(again.exitCode).toBe(0);
    expect(again.stderr).toContain('无需任何操作');
  });

  test('leaves what a rollback needs, without any network', async () => {
    await rig.sandbox.registry.down();
    const back = await server.ok(['rollback', '--yes']);
    expect(back.data).toMatchObject({ from: 'v1.3.0', to: 'v1.1.0' });
    await rig.sandbox.registry.up();
  });
});
