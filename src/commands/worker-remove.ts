import { workerRemovalExecutors } from '../apply/worker-removal.ts';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { addressOf, findWorker, type Worker } from '../domain/inventory.ts';
import { openFleet, type Fleet } from '../effects/fleet.ts';
import { localConnection } from '../effects/local-host.ts';
import { workerRepositories } from '../observe/worker-images.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { MAIN_HOST } from '../plan/plan.ts';
import { planRemoval } from '../plan/workers.ts';
import { perform, type Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

export interface WorkerRemoveOptions {
  readonly name: string;
  /** Out of the inventory also where the host cannot be reached. */
  readonly force?: boolean;
}

/** Takes a host out of the fleet: its agent, the project's key there, its entry in the inventory. */
export async function workerRemoveCommand(session: Session, options: WorkerRemoveOptions): Promise<Report> {
  const project = await openProject(session.globals.project);
  const fleet = openFleet(keyRingOf(session, project));
  try {
    return await perform(session, project, 'worker remove', () => propose(session, project, fleet, options));
  } finally {
    await fleet.close();
  }
}

async function propose(
  session: Session,
  project: Project,
  fleet: Fleet,
  { name, force }: WorkerRemoveOptions,
): Promise<Proposal> {
  const worker = findWorker(await readInventory(project), name);
  const away = await whyAway(fleet, worker);
  if (away !== null && force !== true) throw away.withHint(orAlone(worker));
  if (away !== null) {
    session.warn({
      en: `${away.text.en}; its agent stays there, and is not let in any more`,
      zh: `${away.text.zh};其 agent 会留在那里,但不再被接受`,
    });
  }
  const executors = workerRemovalExecutors(project, {
    connect: async (host) => (host === null ? localConnection(MAIN_HOST) : fleet.connect(host)),
    failed: (_host, error) => session.warn(error.text),
  });
  return {
    plan: planRemoval(worker, away === null, await workerRepositories(project)),
    executors,
    report: async () => ({
      data: { removed: { id: worker.id, name: worker.name } },
      text: session.terminal.text({
        en: `${worker.name} (${addressOf(worker)}) is no worker any more`,
        zh: `${worker.name}(${addressOf(worker)})已不再是 worker`,
      }),
    }),
  };
}

/** Before anything is changed: why the host cannot be logged in to, or null. */
async function whyAway(fleet: Fleet, worker: Worker): Promise<UserError | null> {
  try {
    await fleet.connect(worker);
    return null;
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

function orAlone({ name }: Worker): Text {
  return {
    en: `mend it, or take it out of the inventory alone: xingrin worker remove ${name} --force`,
    zh: `请先修复;或仅从清单中移除:xingrin worker remove ${name} --force`,
  };
}
