import { fingerprint } from '../effects/host-key.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import { renderWorkers, workerData } from '../ui/workers.ts';
import { recoverIfInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';

/** Lists the declared workers. */
export async function workerListCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  await recoverIfInterrupted(session, project, 'worker list');
  const { workers } = await readInventory(project);
  return {
    data: { workers: workers.map((worker) => workerData(worker, fingerprint)) },
    text:
      workers.length === 0
        ? session.terminal.text({
            en: 'there are no workers yet; add one with: xingrin worker add root@HOST',
            zh: '还没有 worker;添加:xingrin worker add root@HOST',
          })
        : renderWorkers(workers, session.terminal.language, session.paint),
  };
}
