import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Milliseconds for a connection, and for an answer. */
const CONNECT_LIMIT = 2_000;
const ANSWER_LIMIT = 2_000;
/** Milliseconds between two attempts. */
const RETRY_PAUSE = 250;

export interface RedisUser {
  /** Both connections stand. If it throws, that attempt was in vain. */
  connected(commands: Redis): Promise<void>;
  /** Called again and again; may wait on the connection that is its own, but less than {@link ANSWER_LIMIT}. */
  read(reader: Redis): Promise<void>;
  /** The connections are gone, and will be tried again. Called once for each time they stood, and once if they never did. */
  lost(error: Error): void;
}

/**
 * Two connections to a Redis, one for commands and one that waits for news, which stand or fall together: as long as there is news, or
 * the answer that there is none, Redis is there. Commands are neither kept nor repeated while it is away.
 */
export class RedisLink {
  readonly #user: RedisUser;
  readonly #url: string;
  readonly #closing = new AbortController();
  #commands: Redis | null = null;
  #running: Promise<void> = Promise.resolve();
  /** Why we gave the connections up ourselves. */
  #dropped: Error | null = null;

  constructor(url: string, user: RedisUser) {
    this.#url = url;
    this.#user = user;
  }

  /** The connection for commands; null while Redis is away. */
  get commands(): Redis | null {
    return this.#commands;
  }

  /** Resolves after the first attempt, whichever way it ended. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve);
    });
  }

  /** Gives the connections up, and tries again. */
  drop(reason: Error | null = null): void {
    this.#dropped = reason;
    this.#commands?.disconnect();
    this.#commands = null;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.drop();
    await this.#running;
  }

  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#closing;
    let told = false;
    while (!signal.aborted) {
      // The library tells why it hung up here alone; what it rejects with is that it did.
      let reason: Error | null = null;
      const note = (error: Error): void => void (reason ??= error);
      const [commands, reader] = [connection(this.#url, note), connection(this.#url, note)];
      commands.once('close', () => reader.disconnect());
      try {
        await Promise.all([commands.connect(), reader.connect()]);
        await this.#user.connected(commands);
        this.#commands = commands;
        this.#dropped = null;
        told = false;
        attempted();
        while (!signal.aborted && commands.status === 'ready') await this.#user.read(reader);
        if (!signal.aborted) throw new Error('the connection ended');
      } catch (error) {
        this.#commands = null;
        if (!told && !signal.aborted) this.#user.lost(this.#dropped ?? reason ?? (error as Error));
        told = true;
      } finally {
        this.#commands = null;
        for (const each of [commands, reader]) each.disconnect();
        attempted();
      }
      await pause(RETRY_PAUSE, undefined, { signal }).catch(() => {});
    }
  }
}

function connection(url: string, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    lazyConnect: true,
    // Answers have one form, whatever the server could speak.
    protocol: 2,
    connectTimeout: CONNECT_LIMIT,
    commandTimeout: ANSWER_LIMIT,
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  });
  redis.on('error', onError);
  return redis;
}
