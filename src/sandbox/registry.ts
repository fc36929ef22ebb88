import { join } from 'node:path';
import { until } from '../effects/clock.ts';
import { writeFileAtomic } from '../effects/files.ts';
import { httpStatus } from '../effects/http-status.ts';
import { unpackDebian } from './debian.ts';
import { startDaemon, type Daemon } from './namespace.ts';
import type { Network } from './network.ts';

export interface Registry {
  /** `10.x.y.254:5000`, the registry part of an image's name. Plain HTTP. */
  readonly address: string;
  /** `http://10.x.y.254:5000`: for requests, and as `registryMirror` of an engine. */
  readonly url: string;
  /** The registry stops answering, yet connections to it open (a hang); and goes on. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** The registry is down: connections are refused; and comes back with all it held. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/**
 * Starts a registry in a network; it ends with the network. Deleting is allowed. As a mirror it answers for Docker Hub: what is
 * pushed as `<address>/library/redis:7-alpine` is pulled as `redis:7-alpine`.
 *
 * @param options.port one per registry of a network; 5000 if absent
 * @param options.login a line of htpasswd (`user:$2b$…`): it lets nobody else in
 */
export async function startRegistry(
  network: Network,
  options: { readonly port?: number; readonly login?: string } = {},
): Promise<Registry> {
  const port = options.port ?? 5000;
  const host = network.address;
  const folder = join(network.part.folder, `registry-${port}`);
  const settings = join(folder, 'config.yml');
  const log = join(folder, 'registry.log');
  const program = join(await unpackDebian(['docker-registry']), 'usr/bin/docker-registry');
  const users = options.login === undefined ? null : join(folder, 'htpasswd');
  if (users !== null) await writeFileAtomic(users, `${options.login}\n`);
  await writeFileAtomic(settings, JSON.stringify(settingsOf(join(folder, 'storage'), `${host}:${port}`, users)));
  const well = users === null ? 200 : 401;

  let daemon: Daemon;
  async function up(): Promise<void> {
    const answers = async (): Promise<boolean> => (await httpStatus({ host, port, path: '/v2/' })) === well;
    daemon = await startDaemon(network.part, network.namespace, [program, 'serve', settings], log, answers);
  }
  async function down(): Promise<void> {
    await daemon.signal('SIGKILL');
    await until('the registry to end', 10_000, daemon.ended);
  }
  await up();
  return {
    address: `${host}:${port}`,
    url: `http://${host}:${port}`,
    pause: () => daemon.signal('SIGSTOP'),
    resume: () => daemon.signal('SIGCONT'),
    up,
    down,
  };
}

/** YAML reads JSON. */
function settingsOf(storage: string, address: string, users: string | null): unknown {
  return {
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: address },
    ...(users === null ? {} : { auth: { htpasswd: { realm: 'registry', path: users } } }),
  };
}
