// Eight real hosts, each behind a link and with a share of the processor of its own: pulling a release on all of them at once against the
// slowest of them alone, and from the moment at which they may follow to the last agent on the new version, again against the slowest alone.
import { appendFile, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { swapAgent } from '../src/apply/agent-swap.ts';
import { unattendedRing } from '../src/apply/host-access.ts';
import { pullOnHost } from '../src/apply/host-pull.ts';
import { envValue, parseEnvFile, setEnvValues } from '../src/domain/env-file.ts';
import type { Worker } from '../src/domain/inventory.ts';
import { until } from '../src/effects/clock.ts';
import { onEach, openFleet } from '../src/effects/fleet.ts';
import { enter, type FrontDoor } from '../src/effects/front-door.ts';
import { agentSpecFor } from '../src/observe/agent-spec.ts';
import { readInventory } from '../src/observe/inventory.ts';
import { openProject } from '../src/observe/project.ts';
import { readInstalled } from '../src/observe/worker-images.ts';
import { openHost, type Host } from '../test/e2e/hosts.ts';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { makeProduct, type Product, type Server } from '../test/e2e/product.ts';
import { openRig, type Rig } from '../test/e2e/rig.ts';

const HOSTS = 8;
/** Elsewhere no host waits for the others' links and processors: here each has its own share of them, whether it is at work alone or not. */
const LINK = '20mbit';
/** Of one core. */
const PROCESSOR = 0.2;
/** Megabytes that are new in the worker's image. */
const BALLAST = 30;
/** Milliseconds between two questions whether all have followed: each is a handshake, on the same two cores. */
const LOOK = 250;
const OLD = 'v1.1.0';
const NEW = 'v1.2.0';

interface Field {
  readonly rig: Rig;
  readonly product: Product;
  readonly server: Server;
  readonly hosts: readonly Host[];
}

async function setUp(rig: Rig): Promise<Field> {
  const names = Array.from({ length: HOSTS }, (_, index) => `w${index + 1}`);
  const [product, ...hosts] = await Promise.all([makeProduct(rig), ...names.map((name) => openHost(rig, name))]);
  await product.release(NEW, {
    images: {
      server: `FROM base\nENV IMAGE_TAG=${NEW}\n`,
      agent: `FROM base\nUSER 0\nRUN echo ${NEW} > VERSION\nUSER 65534\n`,
      worker: `FROM base\nRUN head -c ${BALLAST}000000 /dev/urandom > /ballast\n`,
    },
  });
  const server = await product.checkout('main');
  const example = await readFile(`${server.env}.example`, 'utf8');
  await writeFile(server.env, setEnvValues(example, server.env, { PUBLIC_HOST: rig.engine.address }), { mode: 0o600 });
  await server.ok(['--yes', 'install', '--version', OLD]);
  for (const { destination, identity, name } of hosts)
    await server.ok(['--yes', 'worker', 'add', destination, '--identity', identity, '--name', name]);
  await server.ok(['--yes', 'update', NEW]);
  await narrowLinks(rig);
  await Promise.all(hosts.map(limitProcessor));
  return { rig, product, server, hosts };
}

async function narrowLinks({ sandbox, must }: Rig): Promise<void> {
  const inside = (...argv: string[]): Promise<string> => must(sandbox.network.namespace.enter(argv));
  const names = (await inside('ip', '-o', 'link', 'show', 'type', 'veth')).matchAll(/^\d+: ([^@:]+)[@:]/gm);
  for (const [, name = ''] of names) {
    if (name === 'machine') continue;
    await inside('tc', 'qdisc', 'add', 'dev', name, 'root', 'tbf', 'rate', LINK, 'burst', '256kb', 'latency', '400ms');
  }
}

/** Puts all that runs on a host under a limit; what it starts later is under it as well. */
async function limitProcessor({ engine }: Host): Promise<void> {
  const group = join('/sys/fs/cgroup/cpu', engine.id);
  await mkdir(group, { recursive: true });
  await writeFile(join(group, 'cpu.cfs_period_us'), '100000');
  await writeFile(join(group, 'cpu.cfs_quota_us'), String(PROCESSOR * 100_000));
  const own = await namespaceOf(engine.pid);
  const parents = new Map<number, number>();
  const inside = new Set<number>();
  for (const pid of (await readdir('/proc')).map(Number).filter((each) => each > 0)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    parents.set(pid, Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]));
    if ((await namespaceOf(pid)) === own) inside.add(pid);
  }
  const belongs = (pid: number | undefined): boolean =>
    pid !== undefined && (inside.has(pid) || belongs(parents.get(pid)));
  for (const pid of parents.keys()) {
    // What has ended meanwhile needs no limit.
    if (belongs(pid)) await writeFile(join(group, 'cgroup.procs'), String(pid)).catch(() => {});
  }
}

const namespaceOf = (pid: number): Promise<string | null> => readlink(`/proc/${pid}/ns/pid`).catch(() => null);

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const forget = async ({ product }: Field, host: Host): Promise<void> => {
  for (const image of ['worker', 'agent'] as const)
    await host.sh(['docker', 'rmi', '--force', product.reference(image, NEW)]);
};

function tell(what: string, singles: readonly number[], all: number): void {
  const slowest = Math.max(...singles);
  process.stdout.write(
    `${what}, ${HOSTS} hosts with ${LINK} and ${PROCESSOR} of a core each: all at once ${all.toFixed(1)} s, the slowest alone ${slowest.toFixed(1)} s, ratio ${(all / slowest).toFixed(2)}\n`,
  );
}

async function pulling(field: Field): Promise<void> {
  const project = await openProject(field.server.root);
  const { workers } = await readInventory(project);
  const { images } = await readInstalled(project);
  const fleet = openFleet(unattendedRing(project));
  const context = { signal: new AbortController().signal, report: (): void => {} };
  const pull = async (worker: Worker): Promise<void> => {
    const connection = await fleet.connect(worker);
    for (const image of images) await pullOnHost(connection, worker.name, image, context);
  };
  try {
    await Promise.all(field.hosts.map((host) => forget(field, host)));
    const singles: number[] = [];
    for (const worker of workers) singles.push(await seconds(() => pull(worker)));
    await Promise.all(field.hosts.map((host) => forget(field, host)));
    const all = await seconds(async () => {
      for (const outcome of await onEach(workers, HOSTS, pull)) if ('error' in outcome) throw outcome.error;
    });
    tell('pulling a release', singles, all);
  } finally {
    await fleet.close();
  }
}

async function following(field: Field): Promise<void> {
  const { rig, server } = field;
  const project = await openProject(server.root);
  const { workers } = await readInventory(project);
  const token = envValue(parseEnvFile(await readFile(server.env, 'utf8'), server.env), 'ADMIN_TOKEN') ?? '';
  const authority = await readFile(join(server.root, 'docker/nginx/ssl/ca.pem'), 'utf8');
  const door: FrontDoor = { host: rig.engine.address, port: 8083, authority, signal: new AbortController().signal };
  const journal = join(project.journal, 'bench.jsonl');
  const fleet = openFleet(unattendedRing(project));

  /** While an operation is under way nobody follows. */
  async function hold(): Promise<void> {
    await mkdir(project.journal, { recursive: true });
    const begin = { type: 'begin', id: 'bench', at: new Date().toISOString(), plan: {}, process: 'bench' };
    await writeFile(journal, `${JSON.stringify(begin)}\n`);
  }
  /** Back to the agent before, without the new images. */
  async function takeBack(worker: Worker): Promise<void> {
    const spec = await agentSpecFor(project, worker, OLD);
    await swapAgent({ name: worker.name, connect: () => fleet.connect(worker) }, spec, { limit: 60, patience: 60 });
    const host = field.hosts.find(({ name }) => name === worker.name);
    if (host !== undefined) await forget(field, host);
  }
  async function follow(some: readonly Worker[]): Promise<number> {
    await hold();
    await Promise.all(some.map(takeBack));
    await appendFile(journal, `${JSON.stringify({ type: 'end', outcome: 'done' })}\n`);
    return seconds(() =>
      until('the workers to follow', 300_000, async () => {
        await pause(LOOK);
        const answer = JSON.parse((await enter(door, '/api/workers/', token)) ?? '{}') as {
          workers?: { id: number; status: string; version: string | null }[];
        };
        const on = new Set(
          answer.workers?.filter((each) => each.version === NEW && each.status === 'online').map(({ id }) => id),
        );
        return some.every(({ id }) => on.has(id));
      }),
    );
  }
  try {
    const singles: number[] = [];
    for (const worker of workers) singles.push(await follow([worker]));
    tell('agents that follow', singles, await follow(workers));
  } finally {
    await fleet.close();
    await rm(journal, { force: true });
  }
}

await prepareMachine();
const rig = await openRig();
process.env['DOCKER_USER'] = rig.env['DOCKER_USER'];
try {
  const field = await setUp(rig);
  await pulling(field);
  await following(field);
} finally {
  await rig.close();
}
