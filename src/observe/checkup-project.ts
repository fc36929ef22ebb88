import { join } from 'node:path';
import { checkCertificate, checkGit, checkSettings, type GitFacts } from '../domain/check-project.ts';
import { checkExecutor, checkServices, checkVersions, type ServiceFacts } from '../domain/check-versions.ts';
import type { Look } from '../domain/checkup.ts';
import { bindSources, type ComposeModel } from '../domain/compose-model.ts';
import { envValue, parseEnvFile, secretKeys } from '../domain/env-file.ts';
import { UserError } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { lockPath, parseReleaseLock, type ReleaseLock } from '../domain/release-lock.ts';
import type { Text } from '../domain/text.ts';
import { parseImageTag } from '../domain/version.ts';
import { certificateCovers, certificateEnd, certificateIsOurs, certificateState } from '../effects/certificate.ts';
import { localImages, type Container } from '../effects/engine.ts';
import { modeOf, readText } from '../effects/files.ts';
import type { Unknown } from './attempt.ts';
import type { Wish } from './checkup-hosts.ts';
import { imageTagOf, repositoryOf, taskExecutorImage } from './settings.ts';
import { openCompose, ownContainers } from './stack.ts';
import { readHistory } from './history.ts';
import { readLeftOut } from './left-out.ts';
import { readVersion, REMOTE, type Project } from './project.ts';

/** The stack as it is written and as it runs. */
export interface Stack {
  readonly model: ComposeModel;
  readonly containers: readonly Container[];
}

const NOT_INSTALLED: Text = { en: 'nothing is installed', zh: '尚未安装' };
const NO_TLS: Text = { en: 'the stack serves none', zh: '服务不使用证书' };

/** Reads docker/.env, and what it asks for; the wish is null where it asks for nothing. */
export async function readWish(project: Project): Promise<{ look: Look; value: Wish | null }> {
  const [text, mode, example] = await Promise.all([
    readText(project.envFile),
    modeOf(project.envFile),
    readText(project.envExample),
  ]);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  const imageTag = env === null ? null : imageTagOf(env);
  const secrets = example === null ? [] : secretKeys(example, project.config.secrets);
  const emptySecrets = env === null ? [] : secrets.filter((key) => envValue(env, key) === '');
  const look = checkSettings({ path: project.envFile, mode, imageTag, emptySecrets });
  if (env === null || imageTag === null) return { look, value: null };
  const lock = await lockOf(project, imageTag);
  const repository = repositoryOf(project, env);
  const image = (name: string): { reference: string; locked: string[] | null } => ({
    reference: imageName(repository, name, imageTag),
    locked: lockedDigests(lock, name),
  });
  const names = project.config.images.map(({ name }) => name);
  const matrix = names.map(image);
  const worker = names.find((name) => name.endsWith('-worker'));
  const executor = taskExecutorImage(project, env);
  return {
    look,
    value: {
      imageTag,
      matrix,
      executor:
        executor === null
          ? null
          : (matrix.find(({ reference }) => reference === executor) ?? { reference: executor, locked: null }),
      usualExecutor: worker === undefined ? null : image(worker).reference,
      ownExecutor: envValue(env, 'TASK_EXECUTOR_IMAGE') ?? '',
      publicHost: envValue(env, 'PUBLIC_HOST') ?? '',
    },
  };
}

/** The lock that lies beside the files; null for a release without one. */
async function lockOf(project: Project, imageTag: string): Promise<ReleaseLock | null> {
  const path = lockPath(parseImageTag(imageTag, 'IMAGE_TAG').version);
  const text = await readText(join(project.root, path));
  return text === null ? null : parseReleaseLock(text, path);
}

function lockedDigests(lock: ReleaseLock | null, image: string): string[] | null {
  const locked = lock?.images[image];
  return locked === undefined ? null : [locked.digest, ...Object.values(locked.platforms)];
}

export async function versionsLook(project: Project, wish: Wish | null): Promise<Look | Unknown> {
  const [version, history] = await Promise.all([readVersion(project), readHistory(project)]);
  return wish === null ? { unknown: NOT_INSTALLED } : checkVersions(version, wish.imageTag, history.length > 0);
}

/** Throws BAD_CONFIG (exit 2) if Compose cannot read its file, ENGINE_MISSING (exit 6) without an engine. */
export async function servicesLook(
  project: Project,
  wish: Wish | null,
): Promise<{ look: Look | Unknown; value: Stack | null }> {
  if (wish === null) return { look: { unknown: NOT_INSTALLED }, value: null };
  const model = await (await openCompose(project)).model();
  const [containers, version, leftOut] = await Promise.all([
    ownContainers(project, model.name),
    readVersion(project),
    readLeftOut(project),
  ]);
  const { imageTag } = wish;
  return {
    look: checkServices(await serviceFacts(model, containers), { imageTag, version, leftOut }),
    value: { model, containers },
  };
}

async function serviceFacts(model: ComposeModel, containers: readonly Container[]): Promise<ServiceFacts[]> {
  const names = Object.keys(model.services).sort();
  const local = await localImages(names.flatMap((service) => model.services[service]?.image ?? []));
  return names.flatMap((service): ServiceFacts[] => {
    const wanted = model.services[service]?.image ?? null;
    const base = { service, wanted, wantedId: wanted === null ? null : (local.get(wanted)?.id ?? null) };
    const own = containers.filter((container) => container.service === service);
    return own.length === 0 ? [{ ...base, container: null }] : own.map((container) => ({ ...base, container }));
  });
}

export function tasksLook(wish: Wish | null, containers: readonly Container[]): Look | Unknown {
  if (wish === null || wish.usualExecutor === null) return { unknown: NOT_INSTALLED };
  const { ownExecutor: own, usualExecutor: usual, imageTag } = wish;
  const development = containers.some(({ image }) => image.endsWith('-dev'));
  return checkExecutor({ own, usual, imageTag, development });
}

export async function certificateLook(
  project: Project,
  model: ComposeModel,
  publicHost: string,
  now: Date,
): Promise<Look | Unknown> {
  const folder = join(project.composeDirectory, 'nginx', 'ssl');
  const services = Object.keys(model.services).filter((service) => bindSources(model, [service]).includes(folder));
  if (services.length === 0) return { unknown: NO_TLS };
  const [state, end, ours, covered] = await Promise.all([
    certificateState(folder),
    certificateEnd(folder),
    certificateIsOurs(folder),
    publicHost === '' ? null : certificateCovers(folder, publicHost),
  ]);
  const name = covered === null ? null : { host: publicHost, covered };
  return checkCertificate({ state, folder, end, name, services, ours }, now);
}

export async function gitLook(project: Project): Promise<Look> {
  const { git } = project;
  const base: GitFacts = { remote: 'absent', name: REMOTE, words: '', changed: [] };
  if (git === null) return checkGit(base);
  const changed = await git.changedFiles();
  if ((await git.remoteUrl(REMOTE)) === null) return checkGit({ ...base, remote: 'unnamed', changed });
  try {
    await git.remoteRefs(REMOTE, 'HEAD');
    return checkGit({ ...base, remote: 'answers', changed });
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'UNREACHABLE') throw error;
    const words = (error.details.evidence ?? '').trim().split('\n').at(-1) ?? '';
    return checkGit({ ...base, remote: 'silent', words, changed });
  }
}
