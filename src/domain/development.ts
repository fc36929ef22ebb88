import { envValue, type EnvFile } from './env-file.ts';
import { developmentTag, type Version } from './version.ts';

/** What development mode calls the worker image that it builds; no registry has it. */
const WORKER = 'docker-worker';

/** The image that tasks run in development mode (contract, section 3). */
export function developmentExecutor(version: Version): string {
  return `${WORKER}:${developmentTag(version)}`;
}

/** Whether an image was built by development mode for tasks: then it is on this machine only. */
export function isDevelopmentExecutor(image: string): boolean {
  return image.startsWith(`${WORKER}:`) && image.endsWith('-dev');
}

/** Whether docker/.env says that development mode is on. */
export function saysDevelopment(env: EnvFile | null): boolean {
  return env !== null && isDevelopmentExecutor(envValue(env, 'TASK_EXECUTOR_IMAGE') ?? '');
}
