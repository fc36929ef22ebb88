import type { Worker } from '../domain/inventory.ts';
import { openFleet } from '../effects/fleet.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import { localConnection } from '../effects/local-host.ts';
import type { Connection } from '../effects/transport.ts';
import { MAIN_HOST } from '../plan/plan.ts';

/** A host of the installation, and the way to it. */
export interface ReachableHost {
  /** `main`, or the worker's name. */
  readonly name: string;
  /** Null for the main server. */
  readonly worker: Worker | null;
  /** @throws UNREACHABLE, AUTHENTICATION or HOST_KEY (exit 4), naming the host */
  connect(): Promise<Connection>;
}

export interface ReachableWorker extends ReachableHost {
  readonly worker: Worker;
}

export interface EveryHost {
  readonly main: ReachableHost;
  readonly workers: readonly ReachableWorker[];
  /** The main server first. */
  readonly all: readonly ReachableHost[];
  close(): Promise<void>;
}

/** The main server and these workers. */
export function everyHost(workers: readonly Worker[], ring: KeyRing): EveryHost {
  const fleet = openFleet(ring);
  const main: ReachableHost = { name: MAIN_HOST, worker: null, connect: async () => localConnection(MAIN_HOST) };
  const others = workers.map((worker): ReachableWorker => ({
    name: worker.name,
    worker,
    connect: () => fleet.connect(worker),
  }));
  return { main, workers: others, all: [main, ...others], close: () => fleet.close() };
}
