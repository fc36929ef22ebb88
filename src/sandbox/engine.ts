import { join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { until } from '../effects/clock.ts';
import { makeFolder, remove, writeFileAtomic } from '../effects/files.ts';
import { httpStatus } from '../effects/http-status.ts';
import { openNamespace, startDaemon, type Daemon, type Namespace } from './namespace.ts';
import type { Network } from './network.ts';
import { destroyPart, disownPart, registerPart, type Part } from './records.ts';

export interface EngineOptions {
  /** Its host name. */
  readonly name: string;
  readonly network: Network;
  /** Where images of Docker Hub are looked for: `http://10.x.y.254:5000`. */
  readonly registryMirror?: string;
  /** Folder for everything it keeps; must not exist, is removed at the end. A path of ours if absent. */
  readonly root?: string;
}

/**
 * A Docker engine apart from the machine's own: namespaces, addresses, images, containers, even `/run` and `/etc` are its own,
 * so that `/var/run/docker.sock` mounted into a container is its socket.
 */
export interface Engine {
  readonly name: string;
  readonly id: string;
  /** Path of its socket on the machine. */
  readonly socket: string;
  /** The same as DOCKER_HOST wants it: `unix://…` */
  readonly dockerHost: string;
  /** `10.x.y.n`: published ports answer here, for the machine and for the network's other members. */
  readonly address: string;
  /** `10.x.y.1`: where it reaches the machine. */
  readonly gateway: string;
  /** First process of its namespaces, for `nsenter --target`. */
  readonly pid: number;
  /** File with what the engine says. */
  readonly log: string;
  readonly namespace: Namespace;
  /** Pulls its network cable out, and puts it back. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** Ends the daemon and its containers as a service manager does, and starts it again over the same data. */
  halt(): Promise<void>;
  boot(): Promise<void>;
  /** Lets the engine outlive this process. */
  keep(): Promise<void>;
  /** Ends it with all containers and leaves nothing of it behind. */
  stop(): Promise<void>;
}

/** Milliseconds for a daemon to end: it gives each container ten seconds first. */
const HALT_LIMIT = 60_000;

/** Starts an engine and waits until it answers. Fails with ENGINE_MISSING where the engine does not come up. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const part = await registerPart('engine', options.root);
  try {
    return await build(part, options);
  } catch (error) {
    await destroyPart(part);
    throw error;
  }
}

async function build(part: Part, options: EngineOptions): Promise<Engine> {
  const { name, network } = options;
  const run = join(part.folder, 'run');
  const socket = join(run, 'docker.sock');
  const log = join(part.folder, 'engine.log');
  await makeFolder(run, 0o755);
  const namespace = await openNamespace(part);
  const { address, link } = await network.plug(namespace, part);
  await furnish(part, namespace, options);
  let daemon = await bootEngine(part, namespace, socket, log);
  return {
    name,
    id: part.id,
    socket,
    dockerHost: `unix://${socket}`,
    address,
    gateway: network.hostAddress,
    pid: namespace.pid,
    log,
    namespace,
    cut: () => network.setLink(link, false),
    restore: () => network.setLink(link, true),
    halt: () => haltEngine(daemon),
    async boot() {
      daemon = await bootEngine(part, namespace, socket, log);
    },
    keep: () => disownPart(part),
    stop: () => destroyPart(part),
  };
}

/** Its own /run and a private layer over /etc: the daemon uses its usual paths, and the machine's stay as they are. */
async function furnish(part: Part, namespace: Namespace, options: EngineOptions): Promise<void> {
  const { folder } = part;
  const [upper, work, ours] = [join(folder, 'etc'), join(folder, 'work'), join(folder, 'settings')];
  await makeFolder(upper, 0o755);
  await makeFolder(work, 0o755);
  await writeFileAtomic(join(ours, 'docker', 'daemon.json'), JSON.stringify(daemonSettings(part, options)));
  // There is no way out of the network: a name server that refuses at once beats one that never answers.
  await writeFileAtomic(join(ours, 'resolv.conf'), 'nameserver 127.0.0.1\n');
  await writeFileAtomic(join(ours, 'hostname'), `${options.name}\n`);
  await namespace.inside(['mount', '--bind', join(folder, 'run'), '/run']);
  await namespace.inside([
    'mount',
    '-t',
    'overlay',
    'overlay',
    '-o',
    `lowerdir=/etc,upperdir=${upper},workdir=${work}`,
    '/etc',
  ]);
  await namespace.inside(['rm', '-rf', '/etc/docker', '/etc/resolv.conf', '/etc/hostname']);
  await namespace.inside(['cp', '-R', `${ours}/.`, '/etc/']);
  await namespace.inside(['hostname', options.name]);
}

function daemonSettings(part: Part, options: EngineOptions): Record<string, unknown> {
  return {
    'data-root': join(part.folder, 'data'),
    'cgroup-parent': `/${part.id}`,
    'exec-opts': ['native.cgroupdriver=cgroupfs'],
    // The network for the engine itself; the BuildKit inside it understands only an address with its protocol.
    'insecure-registries': [
      options.network.subnet,
      ...(options.registryMirror === undefined ? [] : [options.registryMirror]),
    ],
    ...(options.registryMirror === undefined ? {} : { 'registry-mirrors': [options.registryMirror] }),
  };
}

async function bootEngine(part: Part, namespace: Namespace, socket: string, log: string): Promise<Daemon> {
  await remove(socket);
  const answers = async (): Promise<boolean> => (await httpStatus({ socket, path: '/_ping' })) === 200;
  try {
    return await startDaemon(part, namespace, ['dockerd'], log, answers);
  } catch (cause) {
    fail(
      'ENGINE_MISSING',
      { en: 'a Docker engine of our own did not start', zh: '独立的 Docker 引擎未能启动' },
      {
        hint: {
          en: 'the reason is in its last lines below; overlayfs, iptables and control groups must be available to root',
          zh: '原因见下面它的最后几行输出;需要 root 权限以及 overlayfs、iptables 和 cgroup',
        },
        evidence: cause instanceof Error ? cause.message : String(cause),
        cause,
      },
    );
  }
}

async function haltEngine(daemon: Daemon): Promise<void> {
  await daemon.signal('SIGTERM');
  await until('the engine to end', HALT_LIMIT, daemon.ended);
}
