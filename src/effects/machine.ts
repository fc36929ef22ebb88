import { setTimeout as pause } from 'node:timers/promises';
import { UserError } from '../domain/errors.ts';
import type { Connection } from './transport.ts';

/** A host that runs tasks, and the way to it: asked for again after a connection broke. */
export interface Machine {
  /** The worker's id; the main server has 1. */
  readonly id: number;
  readonly name: string;
  /** @throws UNREACHABLE, AUTHENTICATION or HOST_KEY (exit 4), naming the host */
  connect(): Promise<Connection>;
}

export interface SteadyOptions {
  /** Milliseconds without any answer after which we give up. */
  readonly limit: number;
  /** Ends the waiting for a host that is away. */
  readonly signal?: AbortSignal;
  /** Told once for each time that the host went away. */
  readonly onLost?: (error: UserError) => void;
}

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4_000;

/**
 * Does something on a host that may be done again, over a new connection whenever the one at hand breaks or the host falls silent.
 *
 * @throws what `work` throws, unless it means that the host is away; that, too, after the time limit; INTERRUPTED when the signal fires
 */
export async function steadily<T>(
  machine: Machine,
  options: SteadyOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  let awaySince: number | null = null;
  for (let wait = FIRST_PAUSE; ; wait = Math.min(wait * 2, LONGEST_PAUSE)) {
    try {
      return await work(await machine.connect());
    } catch (error) {
      if (!isAway(error)) throw error;
      if (awaySince === null) options.onLost?.(error);
      awaySince ??= performance.now();
      if (performance.now() - awaySince > options.limit) throw error;
      await rest(machine, wait, options.signal);
    }
  }
}

/** Whether an error means that the host does not answer now, but may again. */
export function isAway(error: unknown): error is UserError {
  return error instanceof UserError && ['UNREACHABLE', 'TIMEOUT', 'ENGINE_MISSING'].includes(error.code);
}

async function rest(machine: Machine, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' }, { host: machine.name });
  }
}
