import { UserError } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { openFleet } from '../effects/fleet.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import type { Connection } from '../effects/transport.ts';
import { agentSpecFor } from '../observe/agent-spec.ts';
import { inspectAgents, parseAgents } from '../observe/agents.ts';
import { composeProjectName } from '../observe/stack.ts';
import type { Project } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import { swapAgent, takeAgentAway, type WorkerHost } from './agent-swap.ts';
import { ensureAllowed, ensureDocker, requireFitHost } from './bootstrap.ts';
import { unattendedRing } from './host-access.ts';
import { pullOnHost } from './host-pull.ts';
import { executor, type Executors, type Outcome } from './step.ts';

/** How steps get to workers, and who hears of one that failed without ending the whole. */
export interface FleetAccess {
  readonly ring: KeyRing;
  readonly failed: (host: string, error: UserError) => void;
}

/** `lax`: its failure is told, and the others go on. */
type On = { readonly worker: Worker & { readonly [key: string]: Json }; readonly lax: boolean };
type Check = On & {
  readonly install: boolean;
  readonly platforms: readonly string[] | null;
  readonly [key: string]: Json;
};
type Install = On & { readonly mirrors: readonly string[]; readonly [key: string]: Json };
type Pull = On & {
  readonly reference: string;
  readonly digests: readonly string[] | null;
  readonly [key: string]: Json;
};
type Swap = On & { readonly version: string; readonly [key: string]: Json };

/** Milliseconds for one small command over there. */
const LIMIT = 30_000;
/** Seconds for a new agent to have its first heartbeat accepted. */
export const HEALTHY = 60;
/** Seconds to wait for a swap that the server began before we came: the longest that one takes. */
const PATIENCE = 120;

/** Making hosts into workers, keeping them on the version, and letting them go. */
export function fleetExecutors(project: Project, access: FleetAccess = unattended(project)): Executors {
  const fallen = new Set<string>();

  async function on({ worker, lax }: On, work: (host: WorkerHost) => Promise<Outcome>): Promise<Outcome> {
    // Whoever could not get its images must not lose its agent.
    if (lax && fallen.has(worker.name)) return 'failed';
    const fleet = openFleet(access.ring);
    try {
      return await work({ name: worker.name, connect: (): Promise<Connection> => fleet.connect(worker) });
    } catch (error) {
      if (!lax || !(error instanceof UserError) || isStop(error)) throw error;
      fallen.add(worker.name);
      access.failed(worker.name, error);
      return 'failed';
    } finally {
      await fleet.close();
    }
  }

  return {
    'check-host': executor<Check>({
      apply: (params) =>
        on(params, async (host) => {
          await requireFitHost(await host.connect(), host.name, params);
          return 'unchanged';
        }),
    }),
    'install-docker': executor<Install>({
      apply: (params, { signal, report }) =>
        on(params, async (host) => {
          await ensureDocker(await host.connect(), host.name, params.mirrors, signal, (detail) => report({ detail }));
          return 'done';
        }),
    }),
    'allow-docker': executor<On & { readonly [key: string]: Json }>({
      apply: (params) =>
        on(params, async (host) => {
          await ensureAllowed(await host.connect(), host.name);
          return 'done';
        }),
    }),
    'pull-on-worker': executor<Pull>({
      apply: (params, context) =>
        on(params, async (host) => pullOnHost(await host.connect(), host.name, params, context)),
    }),
    'swap-agent': executor<Swap, { readonly had: boolean; readonly [key: string]: Json }>({
      async before(params) {
        let had = true;
        await on({ ...params, lax: true }, async (host) => {
          had = (await agentsOn(await host.connect())).length > 0;
          return 'unchanged';
        });
        return { had };
      },
      apply: (params, { signal }) =>
        on(params, async (host) => {
          const spec = await agentSpecFor(project, params.worker, params.version);
          return swapAgent(host, spec, { limit: HEALTHY, patience: PATIENCE, signal });
        }),
      // The swap itself ends with an agent that runs; only a first one has to go.
      async undo(params, { had }) {
        if (had) return;
        await on({ ...params, lax: true }, async (host) => {
          await takeAgentAway(host, await composeProjectName(project));
          return 'done';
        });
      },
    }),
  };
}

async function agentsOn(connection: Connection): Promise<ReturnType<typeof parseAgents>> {
  const { stdout } = await connection.exec(inspectAgents(), { timeout: LIMIT });
  return parseAgents(stdout);
}

function isStop({ code }: UserError): boolean {
  return code === 'INTERRUPTED' || code === 'TERMINATED';
}

/** What recovery has: the project's key, and nobody to tell; what was left behind shows when the world is read again. */
function unattended(project: Project): FleetAccess {
  return { ring: unattendedRing(project), failed: () => {} };
}
