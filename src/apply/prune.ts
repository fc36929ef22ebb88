import { removeContainers, removeImages } from '../argv/images.ts';
import { UserError } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { openFleet } from '../effects/fleet.ts';
import { KeyRing } from '../effects/key-ring.ts';
import { localConnection } from '../effects/local-host.ts';
import { projectKeyPath } from '../effects/project-key.ts';
import type { Connection } from '../effects/transport.ts';
import type { Project } from '../observe/project.ts';
import { MAIN_HOST, type Json } from '../plan/plan.ts';
import { executor, type Executors } from './step.ts';

/** How steps get to hosts, and who hears of one that could not be reached. */
export interface PruneAccess {
  readonly connect: (worker: Worker | null) => Promise<Connection>;
  /** A host that fails keeps the others from nothing: what is left there is found when the world is read again. */
  readonly failed: (host: string, error: UserError) => void;
}

type Where = { readonly worker: (Worker & { readonly [key: string]: Json }) | null };
type Containers = Where & { readonly ids: readonly string[]; readonly [key: string]: Json };
type Images = Where & { readonly names: readonly string[]; readonly [key: string]: Json };

/** Milliseconds: an engine deletes gigabytes at the speed of its disk. */
const LIMIT = 600_000;

/** Removing images and containers. There is no undo: nothing that is needed goes. */
export function pruneExecutors(project: Project, access: PruneAccess = unattended(project)): Executors {
  async function remove(worker: Worker | null, argv: string[], signal: AbortSignal): Promise<'done' | 'unchanged'> {
    try {
      const connection = await access.connect(worker);
      // Docker refuses, one by one, what is in use since it was looked at; the rest goes.
      await connection.exec(argv, { timeout: LIMIT, signal });
      return 'done';
    } catch (error) {
      if (!(error instanceof UserError) || error.code === 'INTERRUPTED') throw error;
      access.failed(worker?.name ?? MAIN_HOST, error);
      return 'unchanged';
    }
  }
  return {
    'prune-containers': executor<Containers>({
      apply: ({ worker, ids }, { signal }) => remove(worker, removeContainers(ids), signal),
    }),
    'prune-images': executor<Images>({
      apply: ({ worker, names }, { signal }) => remove(worker, removeImages(names), signal),
    }),
  };
}

/** What recovery has; it never gets to apply one of these steps, since none commits. */
function unattended(project: Project): PruneAccess {
  const ring = new KeyRing({ projectKey: projectKeyPath(project.keys), askPassphrase: async () => null });
  return {
    connect: async (worker) => (worker === null ? localConnection(MAIN_HOST) : openFleet(ring).connect(worker)),
    failed: () => {},
  };
}
