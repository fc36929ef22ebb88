import { selectWorkers, type Worker } from '../domain/inventory.ts';
import { fingerprint } from '../effects/host-key.ts';
import { observeFleet } from '../observe/heard-workers.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { observedData, renderWorkers, workerData, type Seen } from '../ui/workers.ts';
import { NO_SERVER } from './deploy.ts';
import { LOOKING } from './perform.ts';
import { tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** Lists the declared workers, and how they are. */
export async function workerListCommand(session: Session, { hosts }: { hosts?: string }): Promise<Report> {
  const { terminal, paint } = session;
  const project = await openProject(session.globals.project);
  await tellInterrupted(session, project);
  const inventory = await readInventory(project);
  if (inventory.workers.length === 0) {
    const none = {
      en: 'there are no workers yet; add one with: xingrin worker add root@HOST',
      zh: '还没有 worker;添加:xingrin worker add root@HOST',
    };
    return { data: { workers: [] }, text: terminal.text(none) };
  }
  const workers = selectWorkers(inventory, hosts);
  const seen = await lookAtWorkers(session, project, workers);
  const data = workers.map((worker) => ({
    ...workerData(worker, fingerprint),
    ...observedData(seen.get(worker.id), terminal.language),
  }));
  return { data: { workers: data }, text: renderWorkers(workers, seen, terminal.language, paint) };
}

/** How workers are, by id; says where the control plane could not be asked. */
export async function lookAtWorkers(session: Session, project: Project, among: readonly Worker[]): Promise<Seen> {
  const ring = keyRingOf(session, project);
  const { language } = session.terminal;
  const look = (): ReturnType<typeof observeFleet> => observeFleet(project, ring, language, among);
  const { workers, source } = await session.terminal.waiting(LOOKING, look);
  if (source === 'ssh') session.warn(NO_SERVER);
  return new Map(workers.map((worker) => [worker.id, worker]));
}
