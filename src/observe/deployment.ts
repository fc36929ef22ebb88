import { basename, join } from 'node:path';
import { EVERY_PROFILE, type ComposeProject } from '../argv/compose.ts';
import {
  changedServices,
  builtServices,
  switchWaves,
  withDependents,
  bindSources,
  type ComposeModel,
} from '../domain/compose-model.ts';
import { isDevelopmentExecutor } from '../domain/development.ts';
import { envValue, parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { CERTIFICATE_FILES, certificateState } from '../effects/certificate.ts';
import { Compose, localImages, type Container, type LocalImage } from '../effects/engine.ts';
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
import { readLeftOut } from './left-out.ts';
import { keysOf, imageTagOf, repositoryOf, taskExecutorImage } from './settings.ts';
import { composeProject, isDevelopment, isRunning, ownContainers, plainProject } from './stack.ts';
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
  /** What shall be left out from now on; null where that stays. */
  readonly leavesOut: readonly string[] | null;
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
  const wasLeftOut = await readLeftOut(project);
  const leftOut = options.frontend ? (options.all ? [] : wasLeftOut) : [...frontend].toSorted();
  const waves = partOf(after.model, containers, before?.model ?? null, {
    all: options.all,
    without: frontend,
    leftOut,
  });
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
    leavesOut: leftOut.join() === wasLeftOut.join() ? null : leftOut,
    builds: building,
    development,
    inDevelopment,
    strays: changesMode ? straysOf(containers, waves.flat()) : [],
  };
}

export function initScriptOf(project: Project): string {
  return join(project.composeDirectory, INIT_SCRIPT);
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
  options: { readonly all: boolean; readonly without: ReadonlySet<string>; readonly leftOut: readonly string[] },
): string[][] {
  const running = new Set(containers.map(({ service }) => service));
  const wanted = Object.keys(model.services).filter((service) => {
    if (options.without.has(service)) return false;
    if (running.has(service)) return true;
    if (options.leftOut.includes(service)) return false;
    if (options.all || running.size === 0) return true;
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
