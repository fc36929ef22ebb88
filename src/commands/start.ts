import { deploymentExecutors } from '../apply/deployment.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { parseImageTag, parseVersion } from '../domain/version.ts';
import { requireCompose } from '../effects/engine.ts';
import { readText } from '../effects/files.ts';
import { isDevelopment, isRunning, openCompose, ownContainers } from '../observe/stack.ts';
import type { Project } from '../observe/project.ts';
import { planRestart, planStop } from '../plan/operations.ts';
import { proposeDeployment, reportStatus } from './deploy.ts';
import { requireInstalled } from './installed.ts';
import { perform } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/**
 * Starts what docker/.env describes. Pulls only images that are not here, so a stopped stack starts without a network. With `dev`
 * it is the development stack, and only images that are not here are built; without, development mode is left.
 */
export async function startCommand(session: Session, options: { frontend?: boolean; dev?: boolean }): Promise<Report> {
  const project = await openSoundProject(session.globals.project);
  const development = options.dev === true ? 'build-missing' : undefined;
  return perform(session, project, 'start', () => proposeStart(session, project, 'start', { ...options, development }));
}

/** Restarts every service that runs; starts the stack if nothing does. */
export async function restartCommand(session: Session, options: { frontend?: boolean }): Promise<Report> {
  const project = await openSoundProject(session.globals.project);
  return perform(session, project, 'restart', async () => {
    const { imageTag, projectName, services } = await runningStack(project);
    if (services.length === 0) {
      const development = (await inDevelopment(project)) ? 'build-missing' : undefined;
      return proposeStart(session, project, 'restart', { ...options, development });
    }
    return {
      plan: planRestart({ imageTag, projectName, services }),
      executors: deploymentExecutors(project, session.now),
      report: () => reportStatus(session, project),
    };
  });
}

/** Stops the stack; containers, networks and data stay, and it starts again without a network. */
export async function stopCommand(session: Session): Promise<Report> {
  const project = await openSoundProject(session.globals.project);
  return perform(session, project, 'stop', async () => ({
    plan: planStop(await runningStack(project)),
    executors: deploymentExecutors(project, session.now),
    report: async () => ({
      data: {},
      text: session.terminal.text({
        en: 'stopped; start again with: xingrin start',
        zh: '已停止;再次启动请执行 xingrin start',
      }),
    }),
  }));
}

async function proposeStart(
  session: Session,
  project: Project,
  command: string,
  options: { frontend?: boolean; development?: 'build-missing' | undefined },
) {
  await requireCompose();
  const imageTag = await requireInstalled(project);
  const { development } = options;
  const version =
    development === undefined ? parseVersion(imageTag, 'IMAGE_TAG') : parseImageTag(imageTag, 'IMAGE_TAG').version;
  const target = { version, commit: null, lock: null };
  const frontend = options.frontend !== false;
  return proposeDeployment(session, project, command, target, { frontend, all: true, deploys: false, development });
}

async function inDevelopment(project: Project): Promise<boolean> {
  const text = await readText(project.envFile);
  return text !== null && isDevelopment(project, parseEnvFile(text, project.envFile));
}

async function runningStack(project: Project): Promise<{ imageTag: string; projectName: string; services: string[] }> {
  await requireCompose();
  const imageTag = await requireInstalled(project);
  const { name } = await (await openCompose(project)).model();
  const containers = await ownContainers(project, name);
  const services = containers.filter(isRunning).map(({ service }) => service);
  return { imageTag, projectName: name, services: [...new Set(services)].sort() };
}
