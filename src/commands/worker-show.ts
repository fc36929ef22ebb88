import { findWorker } from '../domain/inventory.ts';
import { fingerprint } from '../effects/host-key.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import { renderWorker, workerData } from '../ui/workers.ts';
import { recoverIfInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';

/** Shows all that is declared of one worker. */
export async function workerShowCommand(session: Session, { name }: { name: string }): Promise<Report> {
  const project = await openProject(session.globals.project);
  await recoverIfInterrupted(session, project, 'worker show');
  const worker = findWorker(await readInventory(project), name);
  return {
    data: { worker: workerData(worker, fingerprint) },
    text: renderWorker(worker, session.terminal.language, session.paint, fingerprint),
  };
}
