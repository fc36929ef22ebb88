import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { bytesFreed, choosePrunable, type PruneRules } from '../domain/prunable.ts';
import { parseImageTag, type Version } from '../domain/version.ts';
import { onEach } from '../effects/fleet.ts';
import { readText } from '../effects/files.ts';
import type { HostPrune } from '../plan/prune.ts';
import { imageTagOf, repositoryOf, taskExecutorImage } from './settings.ts';
import { openCompose } from './stack.ts';
import type { EveryHost, ReachableHost } from './every-host.ts';
import { hostContainers, hostImages, hostLayerSizes } from './host-images.ts';
import { previousDeployment, readHistory, type History } from './history.ts';
import type { Project } from './project.ts';

const DAY = 24 * 60 * 60 * 1000;

/** What can be removed from one host, or why nobody can tell. */
export type HostFindings =
  | { readonly host: ReachableHost; readonly prune: HostPrune }
  | { readonly host: ReachableHost; readonly error: unknown };

/**
 * The rules of this installation. Throws PRECONDITION (exit 6) before the first: without a version in force nobody can say which
 * one is old.
 */
export async function pruneRules(project: Project, now: Date): Promise<PruneRules> {
  const text = await readText(project.envFile);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  const tag = env === null ? null : imageTagOf(env);
  if (env === null || tag === null) {
    return fail(
      'PRECONDITION',
      { en: 'nothing is installed here, so no version is an old one', zh: '尚未安装,因此没有旧版本可言' },
      { hint: { en: 'xingrin install', zh: 'xingrin install' } },
    );
  }
  const current = parseImageTag(tag, { en: `IMAGE_TAG in ${env.path}`, zh: `${env.path} 中的 IMAGE_TAG` }).version;
  const [history, model] = await Promise.all([readHistory(project), (await openCompose(project)).model()]);
  const images = project.config.images.map(({ name }) => name);
  const kept = keptDeployments(history, current, project.config.retention.deployments);
  const ran = kept.flatMap((each) => Object.keys(each.images));
  const executor = taskExecutorImage(project, env);
  const own = envValue(env, 'TASK_EXECUTOR_IMAGE');
  return {
    project: model.name,
    repositories: [
      ...new Set([repositoryOf(project, env), ...history.flatMap((each) => repositoriesOf(each, images))]),
    ],
    images,
    current,
    versions: [...new Set([current, ...kept.map(({ version }) => version)])],
    imageIds: [...new Set(kept.flatMap((each) => Object.values(each.images)))],
    references: [...ran, ...[executor, own].filter((each) => each !== null && each !== undefined)],
    tasksBefore: new Date(now.getTime() - project.config.retention.taskDays * DAY).toISOString(),
  };
}

/** Looks at every host side by side; one that does not answer keeps nobody else from being told. */
export async function observePrune(hosts: EveryHost, rules: PruneRules, parallel: number): Promise<HostFindings[]> {
  const outcomes = await onEach(hosts.all, parallel, async (host): Promise<HostPrune> => {
    const connection = await host.connect();
    const [images, containers] = await Promise.all([
      hostImages(connection, host.name),
      hostContainers(connection, host.name),
    ]);
    const { images: chosen, containers: ended, tasks } = choosePrunable(images, containers, rules);
    const sizes = new Map<string, readonly number[] | null>();
    for (const { image } of chosen) sizes.set(image.id, await hostLayerSizes(connection, image));
    return {
      host: host.name,
      worker: host.worker,
      images: chosen.flatMap(({ names }) => names),
      containers: ended.map(({ id, name }) => ({ id, name })),
      tasks,
      bytes: bytesFreed(
        chosen.map(({ image }) => image),
        images,
        ({ id }) => sizes.get(id) ?? null,
      ),
    };
  });
  return outcomes.map((outcome) =>
    'error' in outcome ? { host: outcome.host, error: outcome.error } : { host: outcome.host, prune: outcome.value },
  );
}

/** The newest deployments of so many versions, and always the one in force and the one that `rollback` would go to. */
function keptDeployments(history: History, current: Version, count: number): History {
  const versions = new Set<Version>([current]);
  const previous = previousDeployment(history, current);
  if (previous !== null) versions.add(previous.version);
  for (const { version } of history.toReversed()) if (versions.size < count) versions.add(version);
  return history.filter(({ version }) => versions.has(version));
}

/** Where a deployment had the images of the matrix from: that may have been another place than today's. */
function repositoriesOf(deployment: History[number], images: readonly string[]): string[] {
  return Object.keys(deployment.images).flatMap((reference) => {
    const [, repository, name = ''] = /^(.+)\/([^/:@]+)/.exec(reference) ?? [];
    return repository !== undefined && images.includes(name) ? [repository] : [];
  });
}
