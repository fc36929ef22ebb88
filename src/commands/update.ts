import { parseVersion } from '../domain/version.ts';
import { requireCompose } from '../effects/engine.ts';
import { updateTarget } from '../observe/target.ts';
import { proposeDeployment } from './deploy.ts';
import { perform } from './perform.ts';
import { requireInstalled } from './installed.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Brings everything to the released version, or back to the one it came from. */
export async function updateCommand(session: Session, options: { version?: string; dev?: boolean }): Promise<Report> {
  const version =
    options.version === undefined ? undefined : parseVersion(options.version, { en: 'version', zh: '版本' });
  const project = await openSoundProject(session.globals.project);
  return perform(session, project, 'update', async () => {
    await requireCompose();
    await requireInstalled(project);
    const target = await updateTarget(project, version);
    const development = options.dev === true ? 'build' : undefined;
    const how = { frontend: true, all: false, deploys: true, development } as const;
    return proposeDeployment(session, project, 'update', target, how);
  });
}
