import { askLoad } from '../argv/task.ts';
import { loadFromProc } from '../domain/proc-load.ts';
import type { Load } from '../domain/schedule.ts';
import { onEach } from '../effects/fleet.ts';
import type { Machine } from '../effects/machine.ts';
import { requireEngineOn } from './tasks.ts';

/** A machine that could take a task, and how busy it said it is. */
export interface Placing {
  readonly machine: Machine;
  /** Null if it is not known. */
  readonly load: Load | null;
  /** When that was. */
  readonly measured: Date;
  /** Whether that was just now, by itself. */
  readonly answered: boolean;
}

/** A machine that cannot, with the reason. */
export interface Skipped {
  readonly machine: Machine;
  readonly error: unknown;
}

/** Milliseconds for the answer, of which the question itself takes half a second. */
const LOAD_LIMIT = 15_000;
const SIDE_BY_SIDE = 32;

/** Asks every machine itself how busy it is, all side by side. Those that cannot be reached or have no Docker are left out, and told. */
export async function askLoads(
  machines: readonly Machine[],
  now: () => Date,
): Promise<{ placings: readonly Placing[]; skipped: readonly Skipped[] }> {
  const outcomes = await onEach(machines, SIDE_BY_SIDE, async (machine): Promise<Placing> => {
    const connection = await machine.connect();
    const { code, stdout } = await connection.exec(askLoad(), { timeout: LOAD_LIMIT });
    if (code !== 0) await requireEngineOn(connection, machine);
    return { machine, load: loadFromProc(stdout), measured: now(), answered: true };
  });
  const skipped = outcomes.flatMap((each) => ('error' in each ? [{ machine: each.host, error: each.error }] : []));
  return { placings: outcomes.flatMap((each) => ('error' in each ? [] : [each.value])), skipped };
}
