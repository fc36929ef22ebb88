import { requireCompose } from '../effects/engine.ts';
import { openProject } from '../observe/project.ts';
import { updateTarget } from '../observe/target.ts';
import { proposeDeployment } from './deploy.ts';
import { perform } from './perform.ts';
import { requireInstalled } from './installed.ts';
import type { Report, Session } from './session.ts';

/** Brings everything to the released version, or back to the one it came from. */
export async function updateCommand(session: Session, options: { version?: string }): Promise<Report> {
  const project = await openProject(session.globals.project);
  return perform(session, project, 'update', async () => {
    await requireCompose();
    await requireInstalled(project);
    const target = await updateTarget(project, options.version);
    return proposeDeployment(session, project, 'update', target, { frontend: true, all: false, deploys: true });
  });
}
