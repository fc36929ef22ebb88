import { setTimeout as pause } from 'node:timers/promises';
import { NodeSSH, type Config } from 'node-ssh';
import type { Channel, Client, ClientChannel, ServerHostKeyAlgorithm } from 'ssh2';
import { announced, endProcess } from '../argv/remote-process.ts';
import { shellCommand } from '../argv/shell-quote.ts';
import { UserError } from '../domain/errors.ts';
import type { Endpoint } from '../domain/inventory.ts';
import type { KeptConnection } from './connection-pool.ts';
import { fingerprint, hostKeyText } from './host-key.ts';
import type { KeyRing, Offer } from './key-ring.ts';
import { announcedOutput, collect } from './remote-output.ts';
import {
  commandTimeout,
  CONNECT_LIMIT,
  hostKeyDiffers,
  hostKeyUnknown,
  interrupted,
  KEEPALIVE_COUNT,
  KEEPALIVE_INTERVAL,
  loginRefused,
  unreachable,
  type ExecOptions,
  type ExecResult,
  type Host,
} from './transport.ts';

/** A connection that needs no other program: node-ssh. */
export function connectByNode(host: Host, ring: KeyRing): Promise<KeptConnection> {
  return NodeConnection.open(host, ring);
}

/**
 * The host key that a server shows; nobody logs in there. The servers on the way must be pinned, and are logged in to. Of several
 * keys it shows the one of the kind that `host.hostKey` has, if it has it.
 *
 * @throws UNREACHABLE, or what logging in on the way there throws
 */
export async function scanHostKey(host: Host, ring: KeyRing): Promise<string> {
  const way = await openWay(host, ring);
  try {
    const seen: Seen = { key: null, offered: [] };
    // The verifier says no, so this never succeeds.
    const error = await dial(host, host, way.at(-1), [], seen, () => false).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (seen.key !== null) return seen.key;
    throw failureOf(host, host, error, seen);
  } finally {
    for (const client of way.toReversed()) client.dispose();
  }
}

class NodeConnection implements KeptConnection {
  readonly #host: Host;
  readonly #way: readonly NodeSSH[];
  readonly #client: NodeSSH;

  private constructor(host: Host, way: readonly NodeSSH[], client: NodeSSH) {
    this.#host = host;
    this.#way = way;
    this.#client = client;
  }

  static async open(host: Host, ring: KeyRing): Promise<NodeConnection> {
    const way = await openWay(host, ring);
    try {
      const client = await logIn(host, host, way.at(-1), ring);
      return new NodeConnection(host, way, client);
    } catch (error) {
      for (const each of way.toReversed()) each.dispose();
      throw error;
    }
  }

  async isAlive(): Promise<boolean> {
    return this.#client.connection !== null;
  }

  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
    const { connection } = this.#client;
    if (connection === null) return Promise.reject(unreachable(this.#host, 'lost'));
    return execOn(connection, this.#host, argv, options);
  }

  async close(): Promise<void> {
    for (const client of [this.#client, ...this.#way.toReversed()]) client.dispose();
  }
}

/** Logs in at each server on the way to a host. */
async function openWay(host: Host, ring: KeyRing): Promise<NodeSSH[]> {
  const way: NodeSSH[] = [];
  try {
    for (const jump of host.jumps) way.push(await logIn(host, jump, way.at(-1), ring));
    return way;
  } catch (error) {
    for (const client of way.toReversed()) client.dispose();
    throw error;
  }
}

/** What became known while connecting. */
interface Seen {
  /** The host key that was shown. */
  key: string | null;
  /** Ways to log in that were tried, by their titles. */
  offered: string[];
}

async function logIn(host: Host, at: Endpoint, through: NodeSSH | undefined, ring: KeyRing): Promise<NodeSSH> {
  const { hostKey } = at;
  if (hostKey === null) throw hostKeyUnknown(host, at);
  const tryWith = async (offers: readonly Offer[]): Promise<NodeSSH> => {
    const seen: Seen = { key: null, offered: [] };
    try {
      return await dial(host, at, through, offers, seen, (shown) => shown === hostKey);
    } catch (error) {
      throw failureOf(host, at, error, seen);
    }
  };
  const ready = await ring.offersFor(host, at, false);
  try {
    return await tryWith(ready);
  } catch (error) {
    if (!(error instanceof UserError && error.code === 'AUTHENTICATION')) throw error;
    // Only now is somebody asked, who may take longer than a server waits.
    const more = await ring.offersFor(host, at, true);
    if (more.length === ready.length) throw error;
    return tryWith(more);
  }
}

/** One connection, up to being logged in. Throws what the library throws. */
async function dial(
  host: Host,
  at: Endpoint,
  through: NodeSSH | undefined,
  offers: readonly Offer[],
  seen: Seen,
  isRight: (hostKey: string) => boolean,
): Promise<NodeSSH> {
  const left = [...offers];
  const config: Config = {
    username: at.user,
    readyTimeout: CONNECT_LIMIT,
    keepaliveInterval: KEEPALIVE_INTERVAL,
    keepaliveCountMax: KEEPALIVE_COUNT,
    hostVerifier: (key: Buffer) => {
      seen.key = hostKeyText(key);
      return isRight(seen.key);
    },
    algorithms: { serverHostKey: { prepend: algorithmsOf(at.hostKey), append: [], remove: [] } },
    authHandler: (_left, _partial, next) => {
      const offer = left.shift();
      if (offer === undefined) return next(false as never);
      seen.offered.push(offer.title);
      return next(offer.method);
    },
    ...(through === undefined ? { host: at.host, port: at.port } : { sock: await channelThrough(through, at) }),
  };
  const client = new NodeSSH();
  // An error that comes after the login ends the connection, which every command on it notices for itself.
  const connecting = client.connect(config);
  client.connection?.on('error', () => {});
  try {
    return await connecting;
  } catch (error) {
    client.connection?.destroy();
    throw error;
  }
}

/** A server on the way tries to reach the next one for longer than anybody wants to wait. */
async function channelThrough(through: NodeSSH, at: Endpoint): Promise<Channel> {
  const channel = through.forwardOut('127.0.0.1', 0, at.host, at.port);
  const limit = new AbortController();
  const late = pause(CONNECT_LIMIT, undefined, { signal: limit.signal }).then(() => {
    throw Object.assign(new Error('no channel'), { level: 'client-timeout' });
  });
  try {
    return await Promise.race([channel, late]);
  } catch (error) {
    channel.then((opened) => opened.destroy()).catch(() => {});
    throw error;
  } finally {
    limit.abort();
    late.catch(() => {});
  }
}

/** So that a server with several keys shows the pinned one. */
function algorithmsOf(hostKey: string | null): ServerHostKeyAlgorithm[] {
  const [type] = hostKey?.split(' ') ?? [];
  if (type === undefined) return [];
  const rsa: ServerHostKeyAlgorithm[] = ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'];
  return type === 'ssh-rsa' ? rsa : [type as ServerHostKeyAlgorithm];
}

/** What went wrong, told by where the library was and by system codes, never by words. */
function failureOf(host: Host, at: Endpoint, error: unknown, seen: Seen): UserError {
  if (error instanceof UserError) return error;
  const { level, code, reason } = (error ?? {}) as { level?: string; code?: string; reason?: number };
  const words = error instanceof Error ? error.message : String(error);
  if (seen.key !== null && at.hostKey !== null && seen.key !== at.hostKey)
    return hostKeyDiffers(host, at, { pinned: fingerprint(at.hostKey), shown: fingerprint(seen.key) });
  const on = at === host ? host : { ...at, name: host.name, jumps: [] };
  if (level === 'client-socket') return unreachable(on, code ?? 'silent', words);
  if (level === 'client-timeout') return unreachable(on, 'silent');
  // A server on the way could not open the next one: why, it does not say.
  if (reason !== undefined) return unreachable(on, 'jump', words);
  const wasAsked = seen.key !== null && (level === 'client-authentication' || seen.offered.length > 0);
  return wasAsked ? loginRefused(host, at, seen.offered) : unreachable(on, 'protocol', words);
}

const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  SEGV: 11,
  PIPE: 13,
  TERM: 15,
};

function execOn(client: Client, host: Host, argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
  const command = shellCommand(announced(argv));
  return new Promise((resolve, reject) => {
    let channel: ClientChannel | undefined;
    let end: { code: number | null; signal: string | undefined } | undefined;
    let stopping = false;
    const stdout = collect(options, 'stdout');
    const stderr = collect(options, 'stderr');
    const announcement = announcedOutput(stdout.take);
    const stop = async (error: UserError, signal: 'TERM' | 'KILL'): Promise<void> => {
      if (stopping) return;
      stopping = true;
      const pid = announcement.pid();
      if (pid !== null) await endOver(client, pid, signal);
      channel?.close();
      finish(() => reject(error));
    };
    const timer = setTimeout(() => void stop(commandTimeout(host, argv, options.timeout), 'KILL'), options.timeout);
    const interrupt = (): void => void stop(interrupted(host), 'TERM');
    const lost = (): void => finish(() => reject(unreachable(host, 'lost')));
    const finish = (settle: () => void): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', interrupt);
      client.off('close', lost);
      settle();
    };
    client.once('close', lost);
    if (options.signal?.aborted === true) return interrupt();
    options.signal?.addEventListener('abort', interrupt, { once: true });
    client.exec(command, (error, opened) => {
      if (error !== undefined) return lost();
      channel = opened;
      opened.on('data', announcement.take);
      opened.stderr.on('data', stderr.take);
      opened.on('exit', (code: number | null, signal?: string) => (end = { code, signal }));
      opened.on('error', () => {});
      opened.on('close', () => {
        // Ended because we said so: that is told when it is sure.
        if (stopping) return;
        if (end === undefined) return lost();
        const code = end.code ?? 128 + (SIGNALS[end.signal?.replace(/^SIG/, '') ?? ''] ?? 15);
        return finish(() => resolve({ code, stdout: stdout.end(), stderr: stderr.end() }));
      });
      if (options.holdInput === true) opened.write(options.input ?? '');
      else opened.end(options.input ?? '');
    });
  });
}

/** Milliseconds for a command over there to be ended, until we go without knowing. */
const END_LIMIT = 5_000;

/** Ends a command from a session beside it. */
function endOver(client: Client, pid: string, signal: 'TERM' | 'KILL'): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, END_LIMIT);
    const done = (): void => {
      clearTimeout(late);
      resolve();
    };
    try {
      client.exec(shellCommand(endProcess(pid, signal)), (error, opened) => {
        if (error !== undefined) return done();
        opened.on('close', done);
        opened.on('error', done);
        opened.resume();
        opened.stderr.resume();
        opened.end();
      });
    } catch {
      done();
    }
  });
}
