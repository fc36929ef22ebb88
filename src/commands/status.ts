import { requireCompose } from '../effects/engine.ts';
import { reportStatus } from './deploy.ts';
import { LOOKING } from './perform.ts';
import { tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Shows what is asked for, what runs, and whether the two agree. */
export async function statusCommand(session: Session): Promise<Report> {
  const project = await openSoundProject(session.globals.project, { goesByVersion: true });
  await tellInterrupted(session, project);
  await requireCompose();
  return session.terminal.waiting(LOOKING, () => reportStatus(session, project));
}
