import { parseVersion } from '../domain/version.ts';
import { requireCompose } from '../effects/engine.ts';
import { installTarget } from '../observe/target.ts';
import { keepOutOfGit } from '../effects/exclude.ts';
import { proposeDeployment } from './deploy.ts';
import { perform } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Sets this machine up as the main server. Again, it changes only what is not as it should be. */
export async function installCommand(
  session: Session,
  options: { version?: string; frontend?: boolean },
): Promise<Report> {
  const version = options.version === undefined ? undefined : parseVersion(options.version, '--version');
  const project = await openSoundProject(session.globals.project, { goesByVersion: version === undefined });
  return perform(session, project, 'install', async () => {
    await requireCompose();
    if (project.git !== null) await keepOutOfGit(project.git, '.xingrin/');
    const target = await installTarget(project, version);
    const frontend = options.frontend !== false;
    return proposeDeployment(session, project, 'install', target, { frontend, all: true, deploys: true });
  });
}
