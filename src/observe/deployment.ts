import { basename, join } from 'node:path';
import { EVERY_PROFILE, type ComposeProject } from '../argv/compose.ts';
import {
  changedServices,
  builtServices,
  nameInFile,
  switchWaves,
  withDependents,
  bindSources,
  type ComposeModel,
} from '../domain/compose-model.ts';
import { isDevelopmentExecutor, saysDevelopment } from '../domain/development.ts';
import { envValue, parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { DEFAULT_REPOSITORY, imageName, parseRepository } from '../domain/image.ts';
import { parseImageTag } from '../domain/version.ts';
import { CERTIFICATE_FILES, certificateState } from '../effects/certificate.ts';
import { Compose, localImages, projectContainers, type Container, type LocalImage } from '../effects/engine.ts';
import { exists, readText } from '../effects/files.ts';
import { stageProject } from '../effects/stage.ts';
import { draftEnv, isUnsetImageTag, type EnvDraft } from '../plan/env.ts';
import {
  buildsOf,
  refuseTwoNames,
  requireDevelopmentFile,
  straysOf,
  withoutWorker,
  type Builds,
  type Staged,
} from './development.ts';
import type { Project } from './project.ts';
import type { Checkout, Target } from './target.ts';

/** In the Compose folder. */
const INIT_SCRIPT = 'scripts/init-data.sh';

/** An image that a deployment needs. */
export interface NeededImage {
  readonly reference: string;
  /** What the release lock says its registry digest is; null for images that are not of the release. */
  readonly digest: string | null;
  /** It is not here, or what is here under this name is something else. */
  readonly missing: boolean;
}

/** Everything a plan from the present to a target depends on. Read once; nothing in it changes the world. */
export interface DeploymentFacts {
  readonly target: Target;
  /** IMAGE_TAG in force; null before the first installation. */
  readonly current: string | null;
  /** Where the files are; null outside git. */
  readonly checkout: Checkout | null;
  readonly envExists: boolean;
  readonly env: EnvDraft;
  readonly projectName: string;
  /** The services that take part, in the order in which they are switched: those of one wave side by side. */
  readonly waves: readonly (readonly string[])[];
  /** Those of them that are not yet what the target wants. */
  readonly outdated: readonly string[];
  readonly images: readonly NeededImage[];
  /** Services that run now. */
  readonly running: readonly string[];
  /** Where a TLS certificate has to be made, or null. */
  readonly certificateFolder: string | null;
  readonly deploys: boolean;
  /** The target has a script that brings the data up to date. */
  readonly initializes: boolean;
  /** What development mode builds; null for production. */
  readonly builds: Builds | null;
  readonly development: boolean;
  /** Whether development mode is on now. */
  readonly inDevelopment: boolean;
  /** Services with a container of the other mode, where the mode changes and they take no part. */
  readonly strays: readonly string[];
}

export interface DeploymentOptions {
  readonly frontend: boolean;
  /** Bring up all services of the file, also those that have no container now. */
  readonly all: boolean;
  /** A deployment is a change of what is wanted: .env may learn new keys, history grows. Starting is not. */
  readonly deploys: boolean;
  /** From images that are built here, by the development file: all of them, or those that are not here yet. */
  readonly development?: 'build' | 'build-missing' | undefined;
}

/** Reads what a deployment of `target` would have to change. */
export async function observeDeployment(
  project: Project,
  target: Target,
  checkout: Checkout | null,
  options: DeploymentOptions,
): Promise<DeploymentFacts> {
  const moved = target.commit !== null && target.commit !== checkout?.commit ? target.commit : null;
  const envText = await readText(project.envFile);
  const exampleText = options.deploys || envText === null ? await exampleAt(project, moved) : '';
  const development = options.development !== undefined;
  if (envText === null && exampleText === null) {
    fail(
      'PRECONDITION',
      {
        en: `there is neither ${project.envFile} nor ${basename(project.envExample)}`,
        zh: `既没有 ${project.envFile},也没有 ${basename(project.envExample)}`,
      },
      { hint: { en: 'is this the right project? name it with -C', zh: '项目目录是否正确?可用 -C 指定' } },
    );
  }
  const env = draftEnv({
    envText,
    exampleText: exampleText ?? '',
    path: project.envFile,
    version: target.version,
    secrets: project.config.secrets,
    development,
  });
  const parsed = parseEnvFile(env.text, project.envFile);
  const present = envText === null ? null : parseEnvFile(envText, project.envFile);
  const current = present === null ? null : imageTagOf(present);
  const file = development ? project.config.compose.devFile : project.config.compose.file;
  if (development) await requireDevelopmentFile(project, moved);

  const [before, after, inDevelopment] = await Promise.all([
    present === null ? null : currentModel(project, present),
    stagedModel(project, moved, env.text, { ...plainProject(project, parsed), file }, development),
    isDevelopment(project, present),
  ]);
  const changesMode = before !== null && inDevelopment !== development;
  if (changesMode && before.model.name !== after.model.name)
    refuseTwoNames(project, before.model.name, after.model.name);
  const frontend = options.frontend ? new Set<string>() : withDependents(after.model, 'frontend');
  const building = development ? await buildsOf(project, target, after, frontend, options.development) : null;
  const images = neededImages(project, target, after.model, parsed).filter(
    ({ reference }) => !development || !(after.built.includes(reference) || isDevelopmentExecutor(reference)),
  );
  const [containers, local] = await Promise.all([
    ownContainers(project, after.model.name),
    localImages(images.map(({ reference }) => reference)),
  ]);
  const waves = partOf(after.model, containers, before?.model ?? null, options);
  const changed = changedServices(before?.model ?? null, after.model);
  const outdated = waves
    .flat()
    .filter(
      (service) =>
        building !== null ||
        changed.has(service) ||
        !isCurrent(service, after.model, before?.hashes, containers, local),
    );
  const certificate = await certificateFolder(project, after.model);
  return {
    target,
    current,
    checkout,
    envExists: envText !== null,
    env,
    projectName: after.model.name,
    waves,
    outdated,
    images: images.map((image) => ({ ...image, missing: isMissing(image, local.get(image.reference)) })),
    running: [...new Set(containers.filter(isRunning).map(({ service }) => service))],
    certificateFolder: certificate,
    deploys: options.deploys,
    initializes: await hasInitScript(project, moved),
    builds: building,
    development,
    inDevelopment,
    strays: changesMode ? straysOf(containers, waves.flat()) : [],
  };
}

/** IMAGE_TAG of docker/.env, or null where it is not set. Throws BAD_INPUT (exit 2) if it is no version. */
export function imageTagOf(env: EnvFile): string | null {
  const text = envValue(env, 'IMAGE_TAG');
  return text === undefined || isUnsetImageTag(text)
    ? null
    : parseImageTag(text, { en: `IMAGE_TAG in ${env.path}`, zh: `${env.path} 中的 IMAGE_TAG` }).tag;
}

export function initScriptOf(project: Project): string {
  return join(project.composeDirectory, INIT_SCRIPT);
}

/** The Compose project that docker/.env asks for: the development file in development mode, and its optional parts. */
export async function composeProject(project: Project, env: EnvFile | null): Promise<ComposeProject> {
  return { ...plainProject(project, env), file: await composeFile(project, env) };
}

/** Whether development mode is on: docker/.env says so, and there is a file for it. */
export async function isDevelopment(project: Project, env: EnvFile | null): Promise<boolean> {
  return saysDevelopment(env) && exists(join(project.composeDirectory, project.config.compose.devFile));
}

async function composeFile(project: Project, env: EnvFile | null): Promise<string> {
  const { devFile, file } = project.config.compose;
  return (await isDevelopment(project, env)) ? devFile : file;
}

function plainProject(project: Project, env: EnvFile | null): ComposeProject {
  return { directory: project.composeDirectory, file: project.config.compose.file, profiles: profilesFor(env) };
}

/** Compose on the files as they are now. */
export async function openCompose(project: Project): Promise<Compose> {
  const text = await readText(project.envFile);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  return new Compose(await composeProject(project, env), keysOf(env));
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

/** Whether a container runs, or will as soon as it has been restarted. */
export function isRunning({ state }: Pick<Container, 'state'>): boolean {
  return state === 'running' || state === 'restarting';
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

/** The image that tasks run: set on purpose, or the worker image of the version (contract, section 2). */
export function taskExecutorImage(project: Project, env: EnvFile): string | null {
  const own = envValue(env, 'TASK_EXECUTOR_IMAGE');
  return own !== undefined && own !== '' ? own : workerImage(project, env);
}

/** The worker image of the version in force. */
export function workerImage(project: Project, env: EnvFile): string | null {
  const tag = envValue(env, 'IMAGE_TAG');
  const worker = project.config.images.find(({ name }) => name.endsWith('-worker'));
  return tag === undefined || isUnsetImageTag(tag) || worker === undefined
    ? null
    : imageName(repositoryOf(project, env), worker.name, tag);
}

/** DOCKER_USER of the caller, then of docker/.env, then xingrin.yaml, then the default (contract, section 2). */
export function repositoryOf(project: Project, env: EnvFile | null): string {
  const called = process.env['DOCKER_USER'];
  if (called !== undefined && called !== '') return parseRepository(called, 'DOCKER_USER');
  const own = env === null ? undefined : envValue(env, 'DOCKER_USER');
  if (own !== undefined && own !== '')
    return parseRepository(own, { en: 'DOCKER_USER in docker/.env', zh: 'docker/.env 中的 DOCKER_USER' });
  return project.config.repository ?? DEFAULT_REPOSITORY;
}

interface Rendered {
  readonly model: ComposeModel;
  readonly hashes: Map<string, ReadonlySet<string>>;
}

/** The stack as the files describe it now; null where they describe nothing yet (an .env without IMAGE_TAG). */
async function currentModel(project: Project, env: EnvFile): Promise<Rendered | null> {
  const described = await composeProject(project, env);
  const compose = new Compose(described, keysOf(env));
  if (!(await exists(join(project.composeDirectory, described.file)))) return null;
  if (isUnsetImageTag(envValue(env, 'IMAGE_TAG'))) return null;
  const [model, hashes] = await Promise.all([compose.model(), compose.hashes()]);
  return { model, hashes };
}

/** The stack as it will be described: the target's files with the target's .env, rendered in a folder aside. */
async function stagedModel(
  project: Project,
  commit: string | null,
  envText: string,
  described: ComposeProject,
  development: boolean,
): Promise<Staged> {
  const stage = await stageProject({
    root: project.root,
    directory: project.config.compose.directory,
    state: project.state,
    git: project.git,
    commit,
    envText,
  });
  try {
    const keys = keysOf(parseEnvFile(envText, project.envFile));
    const translate = (json: string): string => json.replaceAll(stage.root, project.root);
    const render = (profiles: readonly string[]): Promise<ComposeModel> =>
      new Compose({ ...described, directory: stage.directory, profiles }, keys).model(translate);
    if (!development) return { model: await render(described.profiles), builds: [], built: [] };
    const [model, whole] = await Promise.all([render(described.profiles), render(EVERY_PROFILE)]);
    const builds = builtServices(whole);
    return { model: withoutWorker(model), builds, built: builds.flatMap(({ reference }) => reference ?? []) };
  } finally {
    await stage.remove();
  }
}

function neededImages(
  project: Project,
  target: Target,
  model: ComposeModel,
  env: EnvFile,
): Omit<NeededImage, 'missing'>[] {
  const worker = taskExecutorImage(project, env);
  const references = new Set(Object.values(model.services).flatMap((service) => service.image ?? []));
  if (worker !== null) references.add(worker);
  const repository = repositoryOf(project, env);
  const digests = new Map(
    Object.entries(target.lock?.images ?? {}).map(([name, image]): [string, string] => [
      imageName(repository, name, target.version),
      image.digest,
    ]),
  );
  return [...references].sort().map((reference) => ({ reference, digest: digests.get(reference) ?? null }));
}

function isMissing(image: Omit<NeededImage, 'missing'>, local: LocalImage | undefined): boolean {
  if (local === undefined) return true;
  return image.digest !== null && !local.digests.some((name) => name.endsWith(`@${image.digest}`));
}

/** Services without a container stay out unless they are wanted or new in the target: somebody left them out on purpose. */
function partOf(
  model: ComposeModel,
  containers: readonly Container[],
  before: ComposeModel | null,
  options: DeploymentOptions,
): string[][] {
  const without = options.frontend ? new Set<string>() : withDependents(model, 'frontend');
  const running = new Set(containers.map(({ service }) => service));
  const wanted = Object.keys(model.services).filter((service) => {
    if (without.has(service)) return false;
    if (options.all || running.size === 0 || running.has(service)) return true;
    return before !== null && before.services[service] === undefined;
  });
  return switchWaves(model, wanted);
}

function isCurrent(
  service: string,
  model: ComposeModel,
  hashes: Map<string, ReadonlySet<string>> | undefined,
  containers: readonly Container[],
  local: Map<string, LocalImage>,
): boolean {
  const own = containers.filter((container) => container.service === service);
  const image = local.get(model.services[service]?.image ?? '');
  return (
    own.length > 0 &&
    own.every(
      (container) =>
        container.state === 'running' &&
        container.health !== 'unhealthy' &&
        hashes?.get(service)?.has(container.configHash) === true &&
        container.imageId === image?.id,
    )
  );
}

async function certificateFolder(project: Project, model: ComposeModel): Promise<string | null> {
  const folder = join(project.composeDirectory, 'nginx', 'ssl');
  if (!bindSources(model).includes(folder)) return null;
  const state = await certificateState(folder);
  if (state === 'half') {
    fail(
      'PRECONDITION',
      {
        en: `${folder} holds only one of ${CERTIFICATE_FILES.chain} and ${CERTIFICATE_FILES.key}, and it is not ours to replace`,
        zh: `${folder} 中的 ${CERTIFICATE_FILES.chain} 与 ${CERTIFICATE_FILES.key} 只有其一,且并非由本程序生成`,
      },
      {
        hint: {
          en: 'put the other one beside it, or move that one away to have a pair made',
          zh: '请补上另一个文件,或移走现有文件以便自动生成一对',
        },
      },
    );
  }
  return state === 'good' ? null : folder;
}

async function exampleAt(project: Project, commit: string | null): Promise<string | null> {
  if (commit === null || project.git === null) return readText(project.envExample);
  return project.git.fileAt(commit, `${project.config.compose.directory}/.env.example`);
}

/** Whether the files of a commit (null: the files as they are) have the script: a release may bring it or drop it. */
async function hasInitScript(project: Project, commit: string | null): Promise<boolean> {
  if (commit === null || project.git === null) return exists(initScriptOf(project));
  return (await project.git.fileAt(commit, `${project.config.compose.directory}/${INIT_SCRIPT}`)) !== null;
}

function profilesFor(env: EnvFile | null): string[] {
  const host = env === null ? undefined : envValue(env, 'DB_HOST');
  return host !== undefined && ['postgres', 'localhost', '127.0.0.1'].includes(host) ? ['local-db'] : [];
}

/** The keys of docker/.env, none of which the caller's environment may override. */
export function keysOf(env: EnvFile | null): string[] {
  return env === null ? [] : env.entries.map(({ key }) => key);
}
