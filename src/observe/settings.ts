import { envValue, type EnvFile } from '../domain/env-file.ts';
import { DEFAULT_REPOSITORY, imageName, parseRepository } from '../domain/image.ts';
import { parseImageTag } from '../domain/version.ts';
import { isUnsetImageTag } from '../plan/env.ts';
import type { Project } from './project.ts';

/** IMAGE_TAG of docker/.env, or null where it is not set. Throws BAD_INPUT (exit 2) if it is no version. */
export function imageTagOf(env: EnvFile): string | null {
  const text = envValue(env, 'IMAGE_TAG');
  return text === undefined || isUnsetImageTag(text)
    ? null
    : parseImageTag(text, { en: `IMAGE_TAG in ${env.path}`, zh: `${env.path} 中的 IMAGE_TAG` }).tag;
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

/** The keys of docker/.env, none of which the caller's environment may override. */
export function keysOf(env: EnvFile | null): string[] {
  return env === null ? [] : env.entries.map(({ key }) => key);
}
