import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from '../until.ts';

/** A real redis-server that forgets everything when it is killed, unless it is started with a journal. */
export interface RedisRig {
  readonly url: string;
  /** A connection of our own, to look into it. */
  readonly redis: Redis;
  start(options?: { readonly journal?: boolean }): Promise<void>;
  kill(): Promise<void>;
  /** It hangs: connections stand, and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** As if a minute had passed since its start: after one, no lock is given for so long. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export async function openRedisRig(address = '127.0.0.1'): Promise<RedisRig> {
  const folder = await mkdtemp(join(tmpdir(), 'xingrin-redis-'));
  const port = await freePort(address);
  const redis = new Redis(port, address, { maxRetriesPerRequest: null, retryStrategy: () => 50 });
  redis.on('error', () => {});
  let child: ChildProcess | null = null;
  const rig: RedisRig = {
    url: `redis://${address}:${port}/0`,
    redis,
    async start({ journal = false } = {}) {
      const own = ['--port', String(port), '--bind', address, '--protected-mode', 'no', '--dir', folder, '--save', ''];
      const kept = journal ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
      child = spawn('redis-server', [...own, ...kept], { stdio: 'ignore' });
      await once(child, 'spawn');
      await until('Redis to answer', () => answers(address, port));
    },
    async kill() {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async settle() {
      await until('a server to come', async () => (await redis.exists('xingrin:run')) === 1);
      await redis.del('xingrin:locks_unsure');
    },
    async close() {
      redis.disconnect();
      await rig.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await rig.start();
  return rig;
}

/** A way to a Redis on which its clock can be set. */
export async function openClockRig(url: string): Promise<{ url: string; turn(seconds: number): void; close(): void }> {
  let ahead = 0;
  const server = createServer((socket) => {
    const upstream = connect(Number(new URL(url).port), '127.0.0.1');
    socket.pipe(upstream);
    upstream.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      const turned = text.replace(
        /^(\*2\r\n\$10\r\n)(\d{10})/,
        (_, head: string, at) => `${head}${Number(at) + ahead}`,
      );
      socket.write(turned, 'latin1');
    });
    for (const each of [socket, upstream]) {
      each.on('error', () => {});
      each.on('close', () => void [socket, upstream].map((end) => end.destroy()));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}/0`,
    turn: (seconds) => void (ahead = seconds),
    close: () => void server.close(),
  };
}

async function answers(address: string, port: number): Promise<boolean> {
  const socket = connect(port, address);
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    return reply.toString().startsWith('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
