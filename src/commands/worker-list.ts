import { fingerprint } from '../effects/host-key.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import { observeFleet } from '../observe/heard-workers.ts';
import { renderWorkers, workerData } from '../ui/workers.ts';
import { NO_SERVER } from './deploy.ts';
import { recoverIfInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** Lists the declared workers, and how they are. */
export async function workerListCommand(session: Session): Promise<Report> {
  const { terminal } = session;
  const project = await openProject(session.globals.project);
  await recoverIfInterrupted(session, project, 'worker list');
  const { workers } = await readInventory(project);
  if (workers.length === 0) {
    const none = {
      en: 'there are no workers yet; add one with: xingrin worker add root@HOST',
      zh: '还没有 worker;添加:xingrin worker add root@HOST',
    };
    return { data: { workers: [] }, text: terminal.text(none) };
  }
  const observed = await observeFleet(project, keyRingOf(session, project));
  if (observed.source === 'ssh') session.warn(NO_SERVER);
  const seen = new Map(observed.workers.map((worker) => [worker.id, worker]));
  const data = workers.map((worker) => {
    const {
      status = 'unknown',
      version = null,
      reason = null,
      lastSeen = null,
      cpu = null,
      memory = null,
    } = seen.get(worker.id) ?? {};
    const why = reason === null ? null : terminal.text(reason);
    return { ...workerData(worker, fingerprint), status, version, reason: why, lastSeen, cpu, memory };
  });
  return { data: { workers: data }, text: renderWorkers(workers, seen, terminal.language, session.paint) };
}
