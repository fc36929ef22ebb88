import { requireCompose } from '../effects/engine.ts';
import { renderStatus } from '../ui/status.ts';
import { readStatus, statusData } from './deploy.ts';
import { recoverIfInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Shows what is asked for, what runs, and whether the two agree. */
export async function statusCommand(session: Session): Promise<Report> {
  const project = await openSoundProject(session.globals.project, { goesByVersion: true });
  await recoverIfInterrupted(session, project, 'status');
  await requireCompose();
  const status = await readStatus(session, project);
  return { data: statusData(status, session), text: renderStatus(status, session.terminal.language, session.paint) };
}
