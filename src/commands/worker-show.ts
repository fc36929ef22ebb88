import { findWorker } from '../domain/inventory.ts';
import { fingerprint } from '../effects/host-key.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import { observedData, renderWorker, workerData } from '../ui/workers.ts';
import { tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';
import { lookAtWorkers } from './worker-list.ts';

/** Shows all that is declared of one worker, and how it is. */
export async function workerShowCommand(session: Session, { name }: { name: string }): Promise<Report> {
  const project = await openProject(session.globals.project);
  await tellInterrupted(session, project);
  const worker = findWorker(await readInventory(project), name);
  const { language } = session.terminal;
  const seen = (await lookAtWorkers(session, project, [worker])).get(worker.id);
  return {
    data: { worker: { ...workerData(worker, fingerprint), ...observedData(seen, language) } },
    text: renderWorker(worker, seen, language, session.paint, fingerprint),
  };
}
