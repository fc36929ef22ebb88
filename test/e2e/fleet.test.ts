import type { ChildProcess } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentToken } from '../../src/effects/agent-token.ts';
import { until } from '../until.ts';
import { openHost, type Host } from './hosts.ts';
import { makeProduct, type Product, type Server } from './product.ts';
import { openRedisRig } from './redis-rig.ts';
import { openRig, type Rig } from './rig.ts';
import { spawnServer } from './server-rig.ts';

let rig: Rig;
let product: Product;
let server: Server;
let w1: Host;
let w2: Host;
let w3: Host;

beforeAll(async () => {
  rig = await openRig();
  [product, w1, w2, w3] = await Promise.all([
    makeProduct(rig),
    openHost(rig, 'w1'),
    openHost(rig, 'w2'),
    openHost(rig, 'w3'),
  ]);
  server = await product.checkout('main');
});
afterAll(() => rig?.close());

/** The agent that runs on a host, as its engine tells. */
async function agentOf(host: Host): Promise<string> {
  const format = '{{.Config.Image}} {{.State.Status}} {{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}';
  return (await host.sh(['docker', 'inspect', '--format', format, 'xingrin-agent'])).stdout;
}
const agentAt = (version: string): string => `${product.reference('agent', version)} running healthy always`;
const agents = (): Promise<string[]> => Promise.all([w1, w2, w3].map(agentOf));
/** Asks the control plane through the front door, as an operator does with curl. */
async function overHttp(path: string, body?: unknown): Promise<string> {
  const token = /^ADMIN_TOKEN=(.+)$/m.exec(await readFile(server.env, 'utf8'))?.[1];
  const authority = join(server.root, 'docker/nginx/ssl/ca.pem');
  const given = body === undefined ? [] : ['--data', JSON.stringify(body)];
  const headers = ['--header', `Authorization: Bearer ${token}`];
  return rig.must([
    'curl',
    '-sS',
    '--cacert',
    authority,
    ...headers,
    ...given,
    `https://${rig.engine.address}:8083${path}`,
  ]);
}
/** Whether the worker is in the middle of a swap. */
const swapping = async (host: Host): Promise<boolean> =>
  (await host.must(['docker', 'ps', '--quiet', '--filter', 'name=^/xingrin-agent-next$'])) !== '';
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
const allOn = (version: string): string[] =>
  ['local', 'w1', 'w2', 'w3'].map((name) => `${name} online ${version} true`);

test('the control plane hears every worker, and status says so', async () => {
  const lock = JSON.parse(await readFile(join(server.root, 'releases/v1.0.0.json'), 'utf8')) as {
    images: Record<string, { digest: string }>;
  };
  await product.retag('worker', lock.images['xingrin-worker']?.digest ?? '', 'v1.0.0');
  for (const host of [w2, w3]) await server.ok(add(host));
  expect(await fleet()).toEqual(allOn('v1.0.0'));
  expect((await server.ok(['status'])).data).toMatchObject({ consistent: true });
  const listed = (await server.run(['worker', 'list'])).stdout;
  expect(listed).toMatch(/w1 .*online +v1\.0\.0/);
  const some = (await server.ok(['worker', 'list', '--hosts', 'w*,!w2'])).data['workers'] as Seen[];
  expect(some.map(({ name }) => name)).toEqual(['w1', 'w3']);
  const shown = await server.run(['worker', 'show', 'w1']);
  expect(shown.stdout).toMatch(/state +online\nversion +v1\.0\.0\nload .* % CPU, .* % memory\nlast seen +\d{4}-/);
  expect(await server.json(['worker', 'update', 'w1', '--hosts', 'w2'])).toMatchObject({ exitCode: 2 });
});

test('doctor finds all of it well; then what is not, on which host, and mends what it safely can', async () => {
  const well = await server.json(['doctor']);
  expect(well).toMatchObject({ exitCode: 0, data: { findings: [] } });
  await w3.must(['docker', 'stop', '--time', '1', 'xingrin-agent']);
  await w2.must(['docker', 'image', 'rm', product.reference('worker', 'v1.0.0')]);
  await w1.cut();
  const ill = await server.json(['doctor']);
  await w1.restore();
  expect(ill.exitCode).toBe(3);
  const found = (ill.data['findings'] as { host: string; code: string }[]).map(({ host, code }) => `${host} ${code}`);
  expect(found.toSorted()).toEqual(['w1 HOST_UNREACHABLE', 'w2 WORKER_IMAGE_MISSING', 'w3 AGENT_DOWN']);
  await server.json(['--yes', 'doctor', '--fix']);
  await until('everybody to be heard again', async () => equal(await fleet(), allOn('v1.0.0')));
  expect(await server.json(['doctor'])).toMatchObject({ exitCode: 0, data: { findings: [] } });
});

test('tasks run on the workers, and on the least loaded', async () => {
  const hello = ['--', 'sh', '-c', 'echo "$IMAGE_TAG on a worker"'];
  for (const { name } of [w1, w3]) {
    const ran = await server.run(['task', 'run', '--worker', name, '--id', `hello-${name}`, ...hello]);
    expect(ran).toMatchObject({ exitCode: 0, stdout: 'v1.0.0 on a worker' });
  }
  const placed = await server.json(['task', 'run', '--id', 'anywhere', ...hello]);
  expect(placed).toMatchObject({ exitCode: 0, data: { worker: { name: expect.stringMatching(/^(local|w[123])$/) } } });
  // The control plane was asked how busy they are, not each of them.
  const asked = await server.run(['--dry-run', 'task', 'run', ...hello]);
  expect(asked.stdout).toMatch(/^would run /);
  expect(asked.stderr).not.toContain('does not answer');
  // The same over HTTP, by the control plane in its container.
  const answer = JSON.parse(await overHttp('/api/tasks/', { args: hello.slice(1), worker: 'w2' })) as { id: string };
  await until('the task to end', async () =>
    (await overHttp(`/api/tasks/${answer.id}/`)).includes('"status":"ended","exit_code":0'),
  );
  expect(await server.run(['task', 'logs', answer.id])).toMatchObject({ stdout: 'v1.0.0 on a worker' });
  expect(JSON.parse(await overHttp('/api/tasks/', { args: hello.slice(1) }))).toMatchObject({
    worker: expect.stringMatching(/^w[123]$/),
    status: 'waiting',
  });
});

test('one that is cut off during an update is named, blocks nobody, and follows by itself, whoever dies meanwhile', async () => {
  await w2.cut();
  const partial = await server.json(['update', '--yes']);
  expect(partial).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL', hint: 'xingrin worker update w2' } });
  expect(partial.data).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
  const places = partial.data.steps?.filter(({ host }) => host !== 'main').map(({ kind, host }) => `${kind} ${host}`);
  expect(places?.toSorted()).toEqual([
    'pull-on-worker w1',
    'pull-on-worker w1',
    'pull-on-worker w3',
    'pull-on-worker w3',
    'swap-agent w1',
    'swap-agent w3',
  ]);
  expect(await agents()).toEqual([
    agentAt('v1.1.0'),
    agentAt('v1.0.0').replace(' healthy', ' unhealthy'),
    agentAt('v1.1.0'),
  ]);
  await w2.restore();
  await until('the server to swap the agent of w2', () => swapping(w2));
  await killServer();
  await until('everybody to be on the version', async () => equal(await fleet(), allOn('v1.1.0')));
  expect(await agents()).toEqual(Array(3).fill(agentAt('v1.1.0')));
  expect((await server.ok(['update', '--yes'])).data.steps).toEqual([]);
});

/** The control plane dies without a word; Docker starts it again. */
async function killServer(): Promise<void> {
  const { id } = (await server.services())['server'] ?? { id: '' };
  const pid = await rig.must(['docker', 'inspect', '--format', '{{.State.Pid}}', id]);
  await rig.must(rig.engine.namespace.enter(['kill', '-KILL', pid]));
}

const equal = (one: readonly string[], other: readonly string[]): boolean => one.join('\n') === other.join('\n');

test('rollback takes the workers along, without the registry', async () => {
  await rig.sandbox.registry.down();
  try {
    await server.ok(['rollback', '--yes']);
  } finally {
    await rig.sandbox.registry.up();
  }
  expect(await agents()).toEqual(Array(3).fill(agentAt('v1.0.0')));
  expect(await fleet()).toEqual(allOn('v1.0.0'));
});

/** What a release changes at least, for a server and agents that know which one they are. */
const images = (version: string, ...agent: string[]): Record<string, string> => ({
  server: `FROM base\nENV IMAGE_TAG=${version}\n`,
  agent: ['FROM base', 'USER 0', `RUN echo ${version} > VERSION`, ...agent, 'USER 65534', ''].join('\n'),
});
test('a broken agent leaves every worker with the old one and a reason; the next release heals, through SSH that hangs and links that break in the pull and in the swap', async () => {
  const broken = `RUN sed -i '2i [ "$IS_LOCAL" = true ] || { echo "no such luck" >&2; exit 9; }' agent.sh`;
  await product.release('v1.2.0', { images: images('v1.2.0', broken) });
  const partial = await server.json(['update', '--yes']);
  expect(partial).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL' } });
  for (const name of ['w1', 'w2', 'w3']) expect(partial.error?.message).toContain(name);
  const swaps = partial.data.steps?.filter(({ kind }) => kind === 'swap-agent').map(({ status }) => status);
  expect(swaps).toEqual(['failed', 'failed', 'failed']);
  const old = Array(3).fill(agentAt('v1.0.0')) as string[];
  const oldOnes = (): Promise<void> => until('the old agents to be heard', async () => equal(await agents(), old));
  await oldOnes();
  const behind = ['w1', 'w2', 'w3'].map((name) => `${name} outdated v1.0.0 true`);
  await until('the reasons', async () => equal(await fleet(), ['local online v1.2.0 true', ...behind]));
  const workers = (await server.ok(['status'])).data['workers'] as { name: string; reason: string | null }[];
  for (const { name, reason } of workers)
    if (name !== 'local') expect(reason).toContain('it ended by itself; the old one runs again');
  await oldOnes();

  await product.release('v1.3.0', { images: images('v1.3.0') });
  for (const host of [w1, w2, w3]) await host.cut();
  expect(await server.json(['update', '--yes'])).toMatchObject({
    exitCode: 3,
    error: { code: 'PARTIAL', message: expect.stringMatching(/w1.*w2.*w3/) },
  });
  await Promise.all([cutWhilePulling(w1), hangs(w2), cutWhileSwapping(w3)]);
  await until('everybody to be on the version', async () => equal(await fleet(), allOn('v1.3.0')));
  // The new agent of w3 beats before the old one is put away.
  await until('nothing but the new agents', async () => equal(await agents(), Array(3).fill(agentAt('v1.3.0'))));
});

/** What the control plane in the stack said about a worker's update; undefined if it did not. */
async function serverSaid(what: string, { name }: Host): Promise<string | undefined> {
  const { id } = (await server.services())['server'] ?? { id: '' };
  const { stdout } = await rig.docker(['logs', id]);
  return stdout.split('\n').find((line) => line.includes(what) && line.includes(`"name":"${name}"`));
}
const begins = async (host: Host): Promise<boolean> => (await serverSaid('agent update begins', host)) !== undefined;
async function reasonGiven(host: Host): Promise<string> {
  let line: string | undefined;
  await until('the server to give up', async () => {
    line = await serverSaid('agent update failed', host);
    return line !== undefined;
  });
  return (JSON.parse(line ?? '{}') as { reason: string }).reason;
}

async function cutWhilePulling(host: Host): Promise<void> {
  await host.restore();
  await until('the server to begin', () => begins(host));
  await host.cut();
  expect(await reasonGiven(host)).toContain(`${host.destination} cannot be reached: `);
  expect(await agentOf(host)).toContain(' running ');
  expect(await agentOf(host)).toContain(':v1.0.0');
  await host.restore();
}

async function hangs(host: Host): Promise<void> {
  await host.freeze();
  await host.restore();
  expect(await reasonGiven(host)).toContain(`${host.destination} cannot be reached: `);
  expect(await agentOf(host)).toContain(':v1.0.0');
  await host.thaw();
}

async function cutWhileSwapping(host: Host): Promise<void> {
  await host.restore();
  await until('the server to swap its agent', () => swapping(host));
  await host.cut();
  await until(
    'it to have one agent again',
    async () => !(await swapping(host)) && (await agentOf(host)).includes('running'),
  );
  await host.restore();
}

test('two servers on one Redis update it once, also when the one that does dies over it', async () => {
  const redis = await openRedisRig(rig.sandbox.network.hostAddress);
  const log: string[] = [];
  let second: ChildProcess | undefined;
  try {
    const settings = await readFile(server.env, 'utf8');
    await writeFile(server.env, settings.replace(/^REDIS_URL=.*$/m, `REDIS_URL=${redis.url}`));
    await w2.cut();
    const left = { exitCode: 3, error: { hint: 'xingrin worker update w2' } };
    expect(await server.json(['rollback', 'v1.0.0', '--yes'])).toMatchObject(left);
    const started = await spawnServer({ ...rig.env, PROJECT: server.root, PORT: '0' }, log);
    second = started.child;
    await redis.settle();
    const { id } = ((await server.ok(['status'])).data['workers'] as { id: number; name: string }[]).find(
      ({ name }) => name === 'w2',
    ) ?? { id: 0 };
    const secret = /^AGENT_TOKEN=(.+)$/m.exec(settings)?.[1] ?? '';
    // Its agent beats at the one; here it beats at the other as well, for as long as it tells the old version.
    const beat = async (version: string): Promise<void> => {
      const headers = { authorization: `Bearer ${agentToken(secret, id)}` };
      const body = JSON.stringify({ cpu_percent: 1, memory_percent: 1, version });
      const url = `http://127.0.0.1:${started.port}/api/workers/${id}/heartbeat/`;
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200);
    };
    const begun = (): number => log.join('').split('agent update begins').length - 1;
    /** Lets w2 come back, and follow. */
    const follows = async (from: string, to: string, midway: () => Promise<void>): Promise<void> => {
      const since = await w2.must(['date', '+%s']);
      await w2.restore();
      await until('somebody to swap its agent', async () => {
        await beat(from);
        return swapping(w2);
      });
      await midway();
      await until('everybody to be on the version', async () => equal(await fleet(), allOn(to)));
      await until('nothing but the new agents', async () => equal(await agents(), Array(3).fill(agentAt(to))));
      const filters = ['--filter', 'event=create', '--filter', 'container=xingrin-agent-next'];
      const events = ['docker', 'events', '--since', since, '--until', await w2.must(['date', '+%s'])];
      expect((await w2.must([...events, ...filters])).split('\n')).toHaveLength(1);
    };
    await follows('v1.3.0', 'v1.0.0', async () => {
      expect(begun() + ((await begins(w2)) ? 1 : 0)).toBe(1);
    });

    const before = begun();
    await w2.cut();
    expect(await server.json(['update', '--yes'])).toMatchObject(left);
    await follows('v1.0.0', 'v1.3.0', async () => {
      if (begun() > before) second?.kill('SIGKILL');
      else await killServer();
    });
  } finally {
    second?.kill('SIGKILL');
    await redis.close();
  }
});

test('a removed worker keeps nothing of ours that runs', async () => {
  await server.ok(['--yes', 'worker', 'remove', 'w1']);
  expect(await w1.must(['docker', 'ps', '--all', '--format', '{{.Names}}'])).toMatch(
    /^(xingrin-task-[a-z0-9-]+\n)*xingrin-task-hello-w1$/,
  );
  expect((await w1.sh(['ls', '/run/xingrin'])).exitCode).not.toBe(0);
  expect(await w1.must(['cat', '/root/.ssh/authorized_keys'])).not.toContain(' xingrin');
  // The task's result keeps the image that it ran in.
  const left = await w1.must([
    'docker',
    'image',
    'ls',
    '--format',
    '{{.Repository}}:{{.Tag}}',
    '--filter',
    'reference=*/*/xingrin-*',
  ]);
  expect(left).toBe(product.reference('worker', 'v1.0.0'));
  await until('the server to forget it', async () => !(await fleet()).some((each) => each.startsWith('w1')));
});
