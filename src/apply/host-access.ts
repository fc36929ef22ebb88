import { UserError } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { openFleet } from '../effects/fleet.ts';
import { KeyRing } from '../effects/key-ring.ts';
import { localConnection } from '../effects/local-host.ts';
import { projectKeyPath } from '../effects/project-key.ts';
import type { Connection } from '../effects/transport.ts';
import type { Project } from '../observe/project.ts';
import { MAIN_HOST } from '../plan/plan.ts';

/** How steps get to hosts, and who hears of one that could not be reached. */
export interface HostAccess {
  /** @param worker null for the main server */
  readonly connect: (worker: Worker | null) => Promise<Connection>;
  readonly failed: (host: string, error: UserError) => void;
}

/** The project's own key, and nobody to ask for another one's passphrase. */
export function unattendedRing(project: Project): KeyRing {
  return new KeyRing({ projectKey: projectKeyPath(project.keys), askPassphrase: async () => null });
}

/** What recovery has: the project's key, and nobody to tell. It never applies such a step anew, since none of them commits. */
export function unattendedAccess(project: Project): HostAccess {
  const ring = unattendedRing(project);
  return {
    connect: async (worker) => (worker === null ? localConnection(MAIN_HOST) : openFleet(ring).connect(worker)),
    failed: () => {},
  };
}

/**
 * Work on one host of many: one that fails is told to `access` and keeps nobody else from theirs; what is left there is found when the
 * world is read again.
 */
export async function onHost(
  access: HostAccess,
  worker: Worker | null,
  work: (connection: Connection) => Promise<void>,
): Promise<'done' | 'unchanged'> {
  try {
    await work(await access.connect(worker));
    return 'done';
  } catch (error) {
    if (!(error instanceof UserError) || error.code === 'INTERRUPTED') throw error;
    access.failed(worker?.name ?? MAIN_HOST, error);
    return 'unchanged';
  }
}
