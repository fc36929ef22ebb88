import { fail, UserError } from '../domain/errors.ts';
import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { switchWaves } from '../domain/compose-model.ts';
import { passwordInAddress, redact, soundsSecret } from '../domain/redact.ts';
import { parseVersion } from '../domain/version.ts';
import { createService, stopService, upService } from '../argv/compose.ts';
import {
  lastLogLines,
  localImages,
  projectContainers,
  pullImage,
  removeContainer,
  type Compose,
  type Container,
} from '../effects/engine.ts';
import { readText, writeFileAtomic } from '../effects/files.ts';
import { initScriptOf } from '../observe/deployment.ts';
import { composeProjectName, isRunning, openCompose } from '../observe/stack.ts';
import { formatHistory, readHistory, type Deployment, type History } from '../observe/history.ts';
import { formatLeftOut, readLeftOut } from '../observe/left-out.ts';
import type { Project } from '../observe/project.ts';
import { isUnsetImageTag } from '../plan/env.ts';
import type { Json } from '../plan/plan.ts';
import { checkoutExecutor } from './checkout.ts';
import { developmentExecutors } from './development.ts';
import { writeEnvExecutor } from './env-file.ts';
import { sharedLook, waitUntilWell, type HealthOptions } from './health.ts';
import { executor, type Executors, type StepContext } from './step.ts';

const KEPT_DEPLOYMENTS = 200;

interface ImageParams {
  readonly reference: string;
  readonly digest: string | null;
  readonly [key: string]: Json;
}
interface ServiceParams {
  readonly service: string;
  readonly [key: string]: Json;
}

/** A service as it was before a deployment. */
interface Held {
  readonly service: string;
  readonly running: boolean;
  /** It ran without complaint: only then can that be expected of it again. */
  readonly well: boolean;
  readonly [key: string]: Json;
}

/** Every kind of step that brings a stack from one state to another on this machine. */
export function deploymentExecutors(project: Project, now: () => Date = () => new Date()): Executors {
  return {
    'pull-image': executor<ImageParams>({
      async apply({ reference }, context) {
        await pullImage(reference, context.signal, context.report);
        return 'done';
      },
    }),
    'verify-images': executor<{ readonly images: readonly ImageParams[]; readonly [key: string]: Json }>({
      async apply({ images }) {
        await verifyImages(images);
        return 'done';
      },
    }),
    ...developmentExecutors(project),
    'hold-stack': holdExecutor(project),
    checkout: checkoutExecutor(project),
    'write-env': writeEnvExecutor(project, now),
    'leave-out': leaveOutExecutor(project),
    certificate: executor<{ readonly folder: string; readonly [key: string]: Json }>({
      async apply({ folder }) {
        const host = await envValueOf(project, 'PUBLIC_HOST');
        // Loaded only when needed: it is by far our heaviest library.
        const { makeCertificate } = await import('../effects/certificate-maker.ts');
        await makeCertificate(folder, project.keys, host === undefined || host === '' ? [] : [host]);
        return 'done';
      },
    }),
    'switch-service': executor<ServiceParams>({
      async apply({ service }, context) {
        return switchService(project, await openCompose(project), service, context);
      },
    }),
    'check-health': executor<{ readonly services: readonly string[]; readonly [key: string]: Json }>({
      async apply({ services }, context) {
        const options = await healthOptions(project);
        const together = { ...options, look: sharedLook(options.look) };
        await Promise.all(services.map((service) => waitUntilWell(service, together, context)));
        return 'done';
      },
    }),
    'initialize-data': executor<{ readonly [key: string]: Json }>({
      async apply(_params, context) {
        await initializeData(project, context);
        return 'done';
      },
    }),
    'record-deployment': recordExecutor(project, now),
    'stop-stack': executor<{ readonly [key: string]: Json }>({
      async apply(_params, context) {
        const result = await (
          await openCompose(project)
        ).run(['stop'], { onLine: (line) => context.report({ detail: line }) });
        if (result.code !== 0) composeFailed('stop', result.stderr);
        return 'done';
      },
    }),
    'restart-stack': executor<{ readonly [key: string]: Json }>({
      async apply(_params, context) {
        const result = await (
          await openCompose(project)
        ).run(['restart'], { onLine: (line) => context.report({ detail: line }) });
        if (result.code !== 0) composeFailed('restart', result.stderr);
        return 'done';
      },
    }),
    'remove-stack': executor<{ readonly volumes: boolean; readonly [key: string]: Json }>({
      commits: true,
      async apply({ volumes }, context) {
        // Every container of this project name is ours: the plan was refused otherwise.
        const argv = ['down', '--remove-orphans', ...(volumes ? ['--volumes'] : [])];
        const result = await (
          await openCompose(project)
        ).run(argv, { onLine: (line) => context.report({ detail: line }) });
        if (result.code !== 0) composeFailed('down', result.stderr);
        return 'done';
      },
      // What is gone does not come back: once begun, removing is finished.
      reached: async () => true,
    }),
  };
}

/**
 * Remembers the stack as it is. Its undo comes after that of all later steps, when files and docker/.env are the old ones
 * again, and brings every service back to what they say; services that were not there before go.
 */
function holdExecutor(project: Project) {
  return executor<
    { readonly projectName: string; readonly [key: string]: Json },
    { readonly held: readonly Held[]; readonly [key: string]: Json }
  >({
    async before({ projectName }) {
      const containers = await projectContainers(projectName);
      const services = [...new Set(containers.map(({ service }) => service))];
      return {
        held: services.map((service) => {
          const own = containers.filter((container) => container.service === service);
          return {
            service,
            running: own.some(isRunning),
            well: own.some(({ state, health }) => state === 'running' && (health === null || health === 'healthy')),
          };
        }),
      };
    },
    async apply() {
      return 'done';
    },
    async undo({ projectName }, { held }, context) {
      const names = new Set(held.map(({ service }) => service));
      for (const container of await projectContainers(projectName)) {
        if (!names.has(container.service) && container.folder === project.composeDirectory)
          await removeContainer(container);
      }
      // Without a version docker/.env describes no stack: whatever runs was not started from it.
      if (held.length === 0 || isUnsetImageTag(await envValueOf(project, 'IMAGE_TAG'))) return;
      const compose = await openCompose(project);
      const model = await compose.model();
      const there = [...names].filter((name) => model.services[name] !== undefined);
      for (const wave of switchWaves(model, there)) {
        const ends = await Promise.allSettled(wave.map((service) => bringBack(service)));
        const failure = ends.find((end) => end.status === 'rejected');
        if (failure !== undefined) throw failure.reason;
      }
      async function bringBack(service: string): Promise<void> {
        const before = held.find((each) => each.service === service);
        if (before?.running !== true) await putAtRest(compose, service);
        else if (before.well) await switchService(project, compose, service, context);
        else await bringUp(compose, service, await healthOptions(project), context);
      }
    },
  });
}

/** A service that did not run: its container as the files say if its image is still here, and in any case not running. */
async function putAtRest(compose: Compose, service: string): Promise<void> {
  const result = await oneAtATime(async () => {
    await compose.exec(createService(compose.project, service));
    return compose.exec(stopService(compose.project, service));
  });
  if (result.code !== 0) composeFailed('stop', result.stderr);
}

/** Two `up` of one Compose project at once would both make its network. What takes long is to become healthy, and that goes side by side. */
let turn: Promise<unknown> = Promise.resolve();
function oneAtATime<T>(work: () => Promise<T>): Promise<T> {
  const mine = turn.then(work, work);
  turn = mine;
  return mine;
}

async function bringUp(compose: Compose, service: string, options: HealthOptions, context: StepContext): Promise<void> {
  // Not cut short: so the way back begins from whole containers, not from whatever Compose was between.
  const result = await oneAtATime(async () =>
    context.signal.aborted
      ? null
      : compose.exec(upService(compose.project, service), { onLine: (line) => context.report({ detail: line }) }),
  );
  if (result === null) throw new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' });
  if (result.code === 0) return;
  throw await startFailure(service, result.stderr, options);
}

async function switchService(
  project: Project,
  compose: Compose,
  service: string,
  context: StepContext,
): Promise<'done' | 'unchanged'> {
  const options = await healthOptions(project);
  const before = await running(options, service);
  await bringUp(compose, service, options, context);
  await waitUntilWell(service, options, context);
  return sameContainers(before, await running(options, service)) ? 'unchanged' : 'done';
}

async function startFailure(service: string, said: string, options: HealthOptions): Promise<UserError> {
  const container = (await options.look()).find((each) => each.service === service);
  const log = container === undefined ? '' : await options.log(container.id, 20);
  const evidence = redact(
    [said.trimEnd().split('\n').slice(-5).join('\n'), log].filter((part) => part !== '').join('\n'),
    options.secrets,
  );
  return new UserError(
    'UNHEALTHY',
    { en: `service ${service} could not be started`, zh: `服务 ${service} 无法启动` },
    { evidence, hint: { en: `xingrin logs ${service}`, zh: `xingrin logs ${service}` } },
  );
}

async function running(options: HealthOptions, service: string): Promise<string[]> {
  const containers = await options.look();
  return containers
    .filter((each) => each.service === service && each.state === 'running')
    .map((each) => `${each.id} ${each.startedAt}`);
}

function sameContainers(before: readonly string[], after: readonly string[]): boolean {
  return before.length > 0 && before.length === after.length && before.every((each) => after.includes(each));
}

async function healthOptions(project: Project): Promise<HealthOptions> {
  const name = await composeProjectName(project);
  const { timeout, stable } = project.config.health;
  const look = (): Promise<Container[]> => projectContainers(name);
  return { timeout, stable, secrets: await secretValues(project), look, log: lastLogLines };
}

/** Throws DIGEST_DIFFERS (6) if an image here is not the one its release was published with. */
async function verifyImages(images: readonly ImageParams[]): Promise<void> {
  const local = await localImages(images.map(({ reference }) => reference));
  for (const { reference, digest } of images) {
    const here = local.get(reference);
    if (here === undefined) {
      fail('IMAGE_MISSING', { en: `${reference} is not here`, zh: `本机没有镜像 ${reference}` });
    }
    if (digest === null || here.digests.some((name) => name.endsWith(`@${digest}`))) continue;
    const found = here.digests.map((name) => name.split('@')[1]).join(', ') || '∅';
    fail(
      'DIGEST_DIFFERS',
      {
        en: `${reference} is not the image that was released: the release lock says ${digest}, the registry gave ${found}`,
        zh: `${reference} 不是发布时的镜像:发布清单为 ${digest},镜像仓库给出 ${found}`,
      },
      {
        hint: {
          en: 'somebody moved this image tag; find out who, then publish a new version. Nothing that runs was touched',
          zh: '有人移动了该镜像标签;请查明原因后发布新版本。正在运行的服务未受影响',
        },
      },
    );
  }
}

async function initializeData(project: Project, context: StepContext): Promise<void> {
  const compose = await openCompose(project);
  const result = await compose.runBeside(['bash', initScriptOf(project)], {
    signal: context.signal,
    timeout: project.config.health.timeout * 1000,
    onLine: (line) => context.report({ detail: line }),
  });
  if (result.code === 0) return;
  const evidence = redact(
    `${result.stdout}${result.stderr}`.trimEnd().split('\n').slice(-20).join('\n'),
    await secretValues(project),
  );
  throw new UserError(
    'UNHEALTHY',
    {
      en: `docker/scripts/init-data.sh ended with code ${result.code}`,
      zh: `docker/scripts/init-data.sh 以代码 ${result.code} 退出`,
    },
    { evidence },
  );
}

function leaveOutExecutor(project: Project) {
  type Services = { readonly services: readonly string[]; readonly [key: string]: Json };
  const write = ({ services }: Services): Promise<void> =>
    writeFileAtomic(project.leftOutFile, formatLeftOut(services), { mode: 0o600 });
  return executor<Services, Services>({
    before: async () => ({ services: await readLeftOut(project) }),
    async apply(params) {
      await write(params);
      return 'done';
    },
    undo: (_params, memo) => write(memo),
  });
}

/** Writes the deployment into the history: the point of no return. Cut short, it is taken out again with the rest. */
function recordExecutor(project: Project, now: () => Date) {
  return executor<
    {
      readonly command: string;
      readonly version: string;
      readonly commit: string | null;
      readonly [key: string]: Json;
    },
    { readonly id: string; readonly [key: string]: Json }
  >({
    commits: true,
    async before() {
      return { id: now().toISOString() };
    },
    async apply({ command, version, commit }, _context, { id }) {
      const containers = await projectContainers(await composeProjectName(project));
      const images = Object.fromEntries(containers.map(({ image, imageId }) => [image, imageId]));
      const deployment: Deployment = { id, at: id, command, version: parseVersion(version, 'version'), commit, images };
      await writeHistory(project, (history) => [...history.filter((each) => each.id !== id), deployment]);
      return 'done';
    },
    async undo(_params, { id }) {
      await writeHistory(project, (history) => history.filter((each) => each.id !== id));
    },
  });
}

async function writeHistory(project: Project, change: (history: History) => History): Promise<void> {
  const before = await readHistory(project);
  const after = change(before).slice(-KEPT_DEPLOYMENTS);
  if (after.length === 0 && before.length === 0) return;
  await writeFileAtomic(project.historyFile, formatHistory(after), { mode: 0o600 });
}

function composeFailed(what: string, said: string): never {
  fail(
    'FAILED',
    { en: `docker compose ${what} failed`, zh: `docker compose ${what} 执行失败` },
    { evidence: said.trimEnd().split('\n').slice(-8).join('\n') },
  );
}

async function envValueOf(project: Project, key: string): Promise<string | undefined> {
  const text = await readText(project.envFile);
  return text === null ? undefined : envValue(parseEnvFile(text, project.envFile), key);
}

/** Values of docker/.env that must never be shown. */
async function secretValues(project: Project): Promise<string[]> {
  const text = await readText(project.envFile);
  if (text === null) return [];
  const env = parseEnvFile(text, project.envFile);
  return env.entries
    .map(({ key }) => {
      const value = envValue(env, key) ?? '';
      const secret = project.config.secrets.includes(key) || soundsSecret(key);
      return secret ? value : (passwordInAddress(value) ?? '');
    })
    .filter((value) => value !== '');
}
