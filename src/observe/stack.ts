import { basename, join } from 'node:path';
import type { ComposeProject } from '../argv/compose.ts';
import { nameInFile } from '../domain/compose-model.ts';
import { saysDevelopment } from '../domain/development.ts';
import { envValue, parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { Compose, projectContainers, type Container } from '../effects/engine.ts';
import { exists, readText } from '../effects/files.ts';
import type { Project } from './project.ts';
import { keysOf } from './settings.ts';

/** Compose on the files as they are now. */
export async function openCompose(project: Project): Promise<Compose> {
  const text = await readText(project.envFile);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  return new Compose(await composeProject(project, env), keysOf(env));
}

/** The Compose project that docker/.env asks for: the development file in development mode, and its optional parts. */
export async function composeProject(project: Project, env: EnvFile | null): Promise<ComposeProject> {
  return { ...plainProject(project, env), file: await composeFile(project, env) };
}

/** Whether development mode is on: docker/.env says so, and there is a file for it. */
export async function isDevelopment(project: Project, env: EnvFile | null): Promise<boolean> {
  return saysDevelopment(env) && exists(join(project.composeDirectory, project.config.compose.devFile));
}

/**
 * The name that Compose gives to the project of these files, or would give. Compose itself is asked only where the file computes it:
 * so the answer is the same where there is no Docker.
 */
export async function composeProjectName(project: Project): Promise<string> {
  const envText = await readText(project.envFile);
  const env = envText === null ? null : parseEnvFile(envText, project.envFile);
  const text = await readText(join(project.composeDirectory, await composeFile(project, env)));
  const set = env === null ? undefined : envValue(env, 'COMPOSE_PROJECT_NAME');
  const given = set ?? process.env['COMPOSE_PROJECT_NAME'] ?? '';
  if (given !== '') return given;
  const named = text === null ? null : nameInFile(text);
  if (named?.includes('$') === true) return (await (await openCompose(project)).model()).name;
  if (named !== null) return named;
  return basename(project.composeDirectory)
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}

/**
 * Containers of our Compose project. Compose finds a project by its name alone, and XingRin's is `docker`: so a container of
 * that name from another folder that still exists belongs to somebody else, and we refuse (6) to go near it.
 */
export async function ownContainers(project: Project, projectName: string): Promise<Container[]> {
  const containers = await projectContainers(projectName);
  for (const { folder, name } of containers) {
    if (folder === project.composeDirectory || folder === '' || !(await exists(folder))) continue;
    fail(
      'PRECONDITION',
      {
        en: `another Compose project called "${projectName}" lives in ${folder} (container ${name})`,
        zh: `${folder} 中有另一个同名的 Compose 项目“${projectName}”(容器 ${name})`,
      },
      {
        hint: {
          en: 'give one of them a name of its own: COMPOSE_PROJECT_NAME=… in its .env',
          zh: '请为其中一个单独命名:在其 .env 中设置 COMPOSE_PROJECT_NAME=…',
        },
      },
    );
  }
  return containers;
}

/** Whether a container runs, or will as soon as it has been restarted. */
export function isRunning({ state }: Pick<Container, 'state'>): boolean {
  return state === 'running' || state === 'restarting';
}

async function composeFile(project: Project, env: EnvFile | null): Promise<string> {
  const { devFile, file } = project.config.compose;
  return (await isDevelopment(project, env)) ? devFile : file;
}

export function plainProject(project: Project, env: EnvFile | null): ComposeProject {
  return { directory: project.composeDirectory, file: project.config.compose.file, profiles: profilesFor(env) };
}

function profilesFor(env: EnvFile | null): string[] {
  const host = env === null ? undefined : envValue(env, 'DB_HOST');
  return host !== undefined && ['postgres', 'localhost', '127.0.0.1'].includes(host) ? ['local-db'] : [];
}
