import { join } from 'node:path';
import { isDevelopmentExecutor } from '../domain/development.ts';
import { envValue, parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { lockPath, parseReleaseLock, type ReleaseLock } from '../domain/release-lock.ts';
import { parseImageTag } from '../domain/version.ts';
import { readText } from '../effects/files.ts';
import { imageTagOf, repositoryOf, taskExecutorImage, workerImage } from './settings.ts';
import type { Project } from './project.ts';

/** An image, and the digests of which it must have one; null for what is in no release lock. */
export interface PinnedImage {
  readonly reference: string;
  readonly digests: readonly string[] | null;
}

/** What is installed on the main server, as far as workers have to follow it. */
export interface Installed {
  readonly version: string;
  /** What tasks run, and the agent. */
  readonly images: readonly PinnedImage[];
  /** `linux/amd64`, …: what the agent was published for; null where that is not known. */
  readonly platforms: readonly string[] | null;
}

/** Reads what workers should have. Throws PRECONDITION (exit 6) before the stack is installed. */
export async function readInstalled(project: Project): Promise<Installed> {
  return (await installedOrNull(project)) ?? notInstalled();
}

/** The same; null before the stack is installed. */
export async function installedOrNull(project: Project): Promise<Installed | null> {
  const text = await readText(project.envFile);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  const version = env === null ? null : imageTagOf(env);
  if (env === null || version === null) return null;
  const path = lockPath(parseImageTag(version, 'IMAGE_TAG').version);
  const lockText = await readText(join(project.root, path));
  const lock = lockText === null ? null : parseReleaseLock(lockText, path);
  const agent = lock?.images[agentImage(project)];
  return {
    version,
    images: workerImages(project, env, version, lock),
    platforms: agent === undefined ? null : Object.keys(agent.platforms),
  };
}

/** The images that a worker needs: what tasks run, and the agent. */
export function workerImages(project: Project, env: EnvFile, version: string, lock: ReleaseLock | null): PinnedImage[] {
  const repository = repositoryOf(project, env);
  const pinned = new Map(
    Object.entries(lock?.images ?? {}).map(([name, { digest, platforms }]) => [
      imageName(repository, name, version),
      [digest, ...Object.values(platforms)],
    ]),
  );
  // What development mode built for tasks is on the main server only.
  const own = taskExecutorImage(project, env);
  const executor = own !== null && isDevelopmentExecutor(own) ? workerImage(project, env) : own;
  const agent = imageName(repository, agentImage(project), version);
  const references = executor === null ? [agent] : [executor, agent];
  return references.map((reference) => ({ reference, digests: pinned.get(reference) ?? null }));
}

/** This project's images for workers, without tags; none before the stack is installed, since nothing names their repository yet. */
export async function workerRepositories(project: Project): Promise<string[]> {
  const text = await readText(project.envFile);
  if (text === null) return [];
  const repository = repositoryOf(project, parseEnvFile(text, project.envFile));
  const names = project.config.images.map(({ name }) => name).filter((name) => /-(worker|agent)$/.test(name));
  return names.map((name) => `${repository}/${name}`);
}

/** The reference of the agent's image of a version. */
export function agentReference(project: Project, env: EnvFile, version: string): string {
  return imageName(repositoryOf(project, env), agentImage(project), version);
}

/** Throws PRECONDITION (exit 6). */
export function notInstalled(): never {
  return fail(
    'PRECONDITION',
    {
      en: 'the stack is not installed yet: there is no version that a worker could follow',
      zh: '尚未安装服务:没有可供 worker 跟随的版本',
    },
    {
      hint: {
        en: 'xingrin install; or, to write it into the inventory only: xingrin worker add HOST --no-bootstrap',
        zh: 'xingrin install;或仅写入清单:xingrin worker add HOST --no-bootstrap',
      },
    },
  );
}

/** Where agents find the server; null where docker/.env names only the machine itself. */
export function serverAddress(env: EnvFile): string | null {
  const host = envValue(env, 'PUBLIC_HOST') ?? '';
  if (['', 'localhost', 'server', '127.0.0.1', '::1'].includes(host)) return null;
  const port = envValue(env, 'PUBLIC_PORT') ?? '';
  return `https://${host.includes(':') ? `[${host}]` : host}:${port === '' ? '8083' : port}`;
}

function agentImage(project: Project): string {
  const found = project.config.images.find(({ name }) => name.endsWith('-agent'));
  if (found !== undefined) return found.name;
  return fail(
    'PRECONDITION',
    { en: 'no image of this project is an agent', zh: '该项目没有 agent 镜像' },
    {
      hint: {
        en: 'name one that ends with -agent in xingrin.yaml',
        zh: '请在 xingrin.yaml 中添加以 -agent 结尾的镜像',
      },
    },
  );
}
