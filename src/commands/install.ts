import { parseVersion } from '../domain/version.ts';
import { requireCompose } from '../effects/engine.ts';
import { inspectHost, mayInstall, type HostPart } from '../effects/host-packages.ts';
import type { Project } from '../observe/project.ts';
import { installTarget } from '../observe/target.ts';
import { hostPartExecutors } from '../apply/host-parts.ts';
import { planPreparation } from '../plan/operations.ts';
import { hostPartName } from '../ui/host-parts.ts';
import { keepOutOfGit } from '../effects/exclude.ts';
import { proposeDeployment } from './deploy.ts';
import { perform } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Sets this machine up as the main server. Again, it changes only what is not as it should be. */
export async function installCommand(
  session: Session,
  options: { version?: string; frontend?: boolean; dev?: boolean },
): Promise<Report> {
  const version = options.version === undefined ? undefined : parseVersion(options.version, '--version');
  const project = await openSoundProject(session.globals.project, { goesByVersion: version === undefined });
  await prepareMachine(session, project);
  return perform(session, project, 'install', async () => {
    await requireCompose();
    if (project.git !== null) await keepOutOfGit(project.git, '.xingrin/');
    const target = await installTarget(project, version);
    const frontend = options.frontend !== false;
    const development = options.dev === true ? 'build' : undefined;
    return proposeDeployment(session, project, 'install', target, { frontend, all: true, deploys: true, development });
  });
}

/** Offers to install what Docker needs and this machine lacks; where we cannot, what follows says what is missing. */
async function prepareMachine(session: Session, project: Project): Promise<void> {
  const { dryRun, yes } = session.globals;
  if (dryRun || !(yes || session.terminal.interactive) || !(await mayInstall())) return;
  const elsewhere = (process.env['DOCKER_HOST'] ?? '') !== '';
  const wanted: readonly HostPart[] = elsewhere ? ['client', 'compose'] : ['engine', 'client', 'compose'];
  const missing = (await inspectHost(wanted)).filter(({ state }) => state !== 'present');
  if (missing.length === 0) return;
  await perform(session, project, 'install', async () => ({
    plan: planPreparation(missing.map((state) => ({ part: state.part, name: hostPartName(state) }))),
    executors: hostPartExecutors(),
    question: { en: 'Install it?', zh: '是否安装?' },
    report: async () => ({ data: {} }),
  }));
}
