import { envValue, parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import type { ComposeModel } from '../domain/compose-model.ts';
import { apart } from '../domain/image.ts';
import type { Text } from '../domain/text.ts';
import { Compose, localImages } from '../effects/engine.ts';
import { readText } from '../effects/files.ts';
import { imageTagOf, keysOf } from './settings.ts';
import { composeProject, isDevelopment, ownContainers } from './stack.ts';
import { withoutWorker } from './development.ts';
import { readHistory } from './history.ts';
import { readLeftOut } from './left-out.ts';
import { readVersion, type Project } from './project.ts';
import type { ObservedWorker } from './heard-workers.ts';

export interface ServiceStatus {
  readonly service: string;
  /** The reference that the container was made from; null without a container. */
  readonly image: string | null;
  readonly imageId: string | null;
  /** Docker's word (running, exited, …), or `absent`. */
  readonly state: string;
  readonly health: string | null;
  readonly [key: string]: string | null;
}

export interface Status {
  /** What VERSION says. */
  readonly version: string | null;
  /** What IMAGE_TAG in docker/.env says. */
  readonly imageTag: string | null;
  /** What runs is built here. */
  readonly development: boolean;
  readonly consistent: boolean;
  readonly services: readonly ServiceStatus[];
  /** Services that have no container because `--no-frontend` left them out. */
  readonly leftOut: readonly string[];
  readonly workers: readonly ObservedWorker[];
  /** Each reason why it is not consistent. */
  readonly differences: readonly Text[];
  /** What to type next; null if nothing needs doing. */
  readonly next: Text | null;
  /** Where the front door is, if it is known. */
  readonly address: string | null;
}

/**
 * Reads what is asked for and what runs, and says where they differ. Changes nothing.
 *
 * @param workers as they were observed; one of another version is drift, one that cannot be reached is not
 */
export async function observeStatus(project: Project, workers: readonly ObservedWorker[]): Promise<Status> {
  const [version, envText] = await Promise.all([readVersion(project), readText(project.envFile)]);
  if (envText === null)
    return notInstalled(version, workers, {
      en: 'not installed: there is no docker/.env',
      zh: '尚未安装:没有 docker/.env',
    });
  const env = parseEnvFile(envText, project.envFile);
  const imageTag = imageTagOf(env);
  if (imageTag === null) {
    const difference = {
      en: 'not installed: IMAGE_TAG in docker/.env is not set',
      zh: '尚未安装:docker/.env 中的 IMAGE_TAG 未设置',
    };
    return notInstalled(version, workers, difference);
  }
  const compose = new Compose(await composeProject(project, env), keysOf(env));
  const [development, whole] = await Promise.all([isDevelopment(project, env), compose.model()]);
  const model = development ? withoutWorker(whole) : whole;
  const [containers, history, wasLeftOut] = await Promise.all([
    ownContainers(project, model.name),
    readHistory(project),
    readLeftOut(project),
  ]);
  const references = [...new Set(containers.map(({ image }) => image))];
  const local = await localImages(references);
  const present = new Set(containers.map(({ service }) => service));
  const services = Object.keys(model.services)
    .sort()
    .flatMap((service): ServiceStatus[] => {
      const own = containers.filter((container) => container.service === service);
      if (own.length === 0) return [{ service, image: null, imageId: null, state: 'absent', health: null }];
      return own.map(({ image, imageId, state, health }) => ({ service, image, imageId, state, health }));
    });

  const leftOut = wasLeftOut.filter(
    (service) => present.size > 0 && model.services[service] !== undefined && !present.has(service),
  );

  const differences: Text[] = [];
  if (version !== null && imageTag !== version) {
    differences.push({
      en: `VERSION says ${version}, IMAGE_TAG says ${imageTag ?? 'nothing'}`,
      zh: `VERSION 为 ${version},而 IMAGE_TAG 为 ${imageTag ?? '空'}`,
    });
  }
  for (const { service, image, imageId, state, health } of services) {
    if (state === 'absent') {
      // Somebody who runs nothing, or left a service out, chose so; a missing part of a running stack is told.
      if (present.size > 0 && !leftOut.includes(service))
        differences.push({ en: `${service} does not run`, zh: `${service} 未运行` });
      continue;
    }
    if (state !== 'running') differences.push({ en: `${service} is ${state}`, zh: `${service} 状态为 ${state}` });
    else if (health !== null && health !== 'healthy')
      differences.push({ en: `${service} is ${health}`, zh: `${service} 健康状态为 ${health}` });
    const wanted = model.services[service]?.image;
    // A development file may leave the name of what it builds to Compose.
    if (wanted === undefined && development) continue;
    if (image !== wanted) {
      const [runs, should] = wanted === undefined || image === null ? [image, wanted] : apart(image, wanted);
      differences.push({
        en: `${service} runs ${runs}, not ${should}`,
        zh: `${service} 运行的是 ${runs},而不是 ${should}`,
      });
    } else if (image !== null && local.get(image) !== undefined && local.get(image)?.id !== imageId) {
      differences.push({
        en: `${service} runs an image that ${image} does not mean any more`,
        zh: `${service} 运行的镜像已不是 ${image} 当前所指`,
      });
    }
  }
  if (present.size === 0) differences.push({ en: 'nothing runs', zh: '没有任何服务在运行' });
  const right = development ? [imageTag, `${imageTag}-dev`] : [imageTag];
  const behind = workers.filter((worker) => worker.version !== null && !right.includes(worker.version));
  for (const { name, version: other, reason } of behind) {
    differences.push({
      en: `the agent of ${name} is ${other}, not ${imageTag}${reason === null ? '' : `: ${reason.en}`}`,
      zh: `${name} 的 agent 为 ${other},而不是 ${imageTag}${reason === null ? '' : `:${reason.zh}`}`,
    });
  }
  return {
    version,
    imageTag,
    development,
    consistent: differences.length === 0,
    services,
    leftOut,
    workers,
    differences,
    next: differences.length === 0 ? null : nextStep(version, imageTag, present.size, history.length),
    address: addressOf(env, model),
  };
}

function notInstalled(version: string | null, workers: readonly ObservedWorker[], difference: Text): Status {
  const next = { en: 'xingrin install', zh: 'xingrin install' };
  const nothing = { imageTag: null, development: false, consistent: false, services: [], leftOut: [], address: null };
  return { ...nothing, version, workers, differences: [difference], next };
}

function nextStep(version: string | null, imageTag: string | null, containers: number, deployments: number): Text {
  if (imageTag === null || (version !== null && imageTag !== version)) {
    return deployments === 0
      ? { en: 'xingrin install', zh: 'xingrin install' }
      : { en: 'xingrin update', zh: 'xingrin update' };
  }
  return containers === 0
    ? { en: 'xingrin start', zh: 'xingrin start' }
    : { en: 'xingrin start, or xingrin logs SERVICE', zh: 'xingrin start,或 xingrin logs 服务名' };
}

/** The front door: nginx's published port, on the host that docker/.env says the world sees. */
function addressOf(env: EnvFile, model: ComposeModel): string | null {
  const port = model.services['nginx']?.ports?.find(({ published }) => published !== undefined)?.published;
  if (port === undefined) return null;
  const host = envValue(env, 'PUBLIC_HOST');
  return `https://${host === undefined || host === '' || host === 'server' ? 'localhost' : host}:${port}/`;
}
