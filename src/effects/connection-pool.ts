import type { Connection, Host } from './transport.ts';

/** What is known of a connection that is kept. */
export interface KeptConnection extends Connection {
  isAlive(): Promise<boolean>;
}

/** One open connection a host, whoever asks for it. */
export class ConnectionPool<C extends KeptConnection> {
  readonly #open: (host: Host) => Promise<C>;
  readonly #kept = new Map<string, Promise<C>>();

  /** @param open makes a connection, logged in */
  constructor(open: (host: Host) => Promise<C>) {
    this.#open = open;
  }

  /** Throws what `open` throws. */
  async connect(host: Host): Promise<C> {
    const key = JSON.stringify([host, ...host.jumps]);
    for (;;) {
      const open = this.#kept.get(key);
      if (open === undefined) break;
      const connection = await open.catch(() => undefined);
      if (connection !== undefined && (await connection.isAlive())) return connection;
      // Whoever finds it dead first makes the next one; all others wait for that.
      if (this.#kept.get(key) === open) this.#kept.delete(key);
    }
    const fresh = this.#open(host);
    this.#kept.set(key, fresh);
    return fresh;
  }

  async close(): Promise<void> {
    const settled = await Promise.allSettled(this.#kept.values());
    this.#kept.clear();
    await Promise.all(settled.map((each) => (each.status === 'fulfilled' ? each.value.close() : undefined)));
  }
}
