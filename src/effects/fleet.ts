import type { Worker } from '../domain/inventory.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { KeyRing } from './key-ring.ts';
import { openProgramTransport } from './ssh-program.ts';
import type { Connection, Transport } from './transport.ts';

/** The way to every worker; connections are kept until `close`. */
export interface Fleet {
  /** @throws UNREACHABLE, AUTHENTICATION or HOST_KEY (exit 4), naming the worker */
  connect(worker: Worker): Promise<Connection>;
  close(): Promise<void>;
}

export function openFleet(ring: KeyRing): Fleet {
  const transport = ring.transport === 'openssh' ? openProgramTransport(ring) : openNodeTransport(ring);
  return { connect: (worker) => transport.connect(worker), close: () => transport.close() };
}

/** The client for it is large, and loaded by whoever connects first. */
function openNodeTransport(ring: KeyRing): Transport {
  return new ConnectionPool(async (host) => (await import('./ssh-node.ts')).connectByNode(host, ring));
}

/** How it went on one host: what came of it, or what was thrown. */
export type HostOutcome<H, T> = { readonly host: H } & ({ readonly value: T } | { readonly error: unknown });

/**
 * Does the same on many hosts, `parallel` at a time. Each host ends on its own: a failure is that host's outcome and keeps nobody
 * else from going on. Outcomes come in the order of the hosts.
 */
export async function onEach<H, T>(
  hosts: readonly H[],
  parallel: number,
  work: (host: H) => Promise<T>,
): Promise<HostOutcome<H, T>[]> {
  const outcomes: HostOutcome<H, T>[] = [];
  const queue = [...hosts.entries()];
  async function lane(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, host] = next;
      try {
        outcomes[index] = { host, value: await work(host) };
      } catch (error) {
        outcomes[index] = { host, error };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, hosts.length) }, lane));
  return outcomes;
}
