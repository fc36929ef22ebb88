import { parseVersion } from '../domain/version.ts';
import { requireCompose } from '../effects/engine.ts';
import { rollbackTarget } from '../observe/target.ts';
import { proposeDeployment } from './deploy.ts';
import { requireInstalled } from './installed.ts';
import { perform } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Goes back to an earlier deployment, with what is on this machine. */
export async function rollbackCommand(session: Session, options: { version?: string }): Promise<Report> {
  const version =
    options.version === undefined ? undefined : parseVersion(options.version, { en: 'version', zh: '版本' });
  const project = await openSoundProject(session.globals.project);
  return perform(session, project, 'rollback', async () => {
    await requireCompose();
    const current = await requireInstalled(project);
    const target = await rollbackTarget(project, version, current);
    return proposeDeployment(session, project, 'rollback', target, { frontend: true, all: false, deploys: true });
  });
}
