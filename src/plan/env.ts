import {
  appendLines,
  createEnv,
  envValue,
  missingKeys,
  parseEnvFile,
  secretKeys,
  setEnvValues,
} from '../domain/env-file.ts';
import { developmentExecutor, isDevelopmentExecutor } from '../domain/development.ts';
import type { Version } from '../domain/version.ts';

export interface EnvDraftInput {
  /** docker/.env as it is; null before the first installation. */
  readonly envText: string | null;
  /** .env.example of the target; empty if it has none. */
  readonly exampleText: string;
  /** Named in errors. */
  readonly path: string;
  readonly version: Version;
  /** Keys that are secrets by configuration. */
  readonly secrets: readonly string[];
  /** Tasks shall run the image that is built here. */
  readonly development?: boolean;
}

/** docker/.env as it will be, but for new secrets: those stand as {@link SECRET_STAND_IN} until they are made. */
export interface EnvDraft {
  readonly text: string;
  readonly changed: boolean;
  /** Keys that .env.example has and docker/.env had not. */
  readonly added: readonly string[];
  /** Keys whose value has to be generated. */
  readonly newSecrets: readonly string[];
  /** Secrets whose value is the one that .env.example shows to everybody. */
  readonly publicSecrets: readonly string[];
  /** The new TASK_EXECUTOR_IMAGE; null if it stays what it is. */
  readonly executor: string | null;
  /** The image that somebody chose for tasks, and which development mode takes the place of; null if there is none. */
  readonly replaced: string | null;
}

export const SECRET_STAND_IN = 'xingrin-makes-this-secret';

/** IMAGE_TAG as XingRin's .env.example ships it: what its own installer leaves behind when it is killed half-way. */
const UNSET_IMAGE_TAG = '__WILL_BE_SET_BY_INSTALLER__';

/** Whether an IMAGE_TAG says nothing: no installation was ever finished with this docker/.env. */
export function isUnsetImageTag(value: string | undefined): boolean {
  return value === undefined || value === '' || value === UNSET_IMAGE_TAG;
}

/**
 * What a deployment does to docker/.env: IMAGE_TAG says the version, keys that the release brought are added with their
 * documented defaults, and TASK_EXECUTOR_IMAGE names the image of development mode or forgets it. Nothing else changes; no existing
 * secret ever.
 */
export function draftEnv(input: EnvDraftInput): EnvDraft {
  const { envText, exampleText, path, version, secrets } = input;
  const built = input.development === true ? developmentExecutor(version) : null;
  const named = secretKeys(exampleText, secrets);
  if (envText === null) {
    const standIns = Object.fromEntries(named.map((key) => [key, SECRET_STAND_IN]));
    const task = built === null ? {} : { TASK_EXECUTOR_IMAGE: built };
    const text = createEnv(exampleText, { ...standIns, IMAGE_TAG: version, ...task });
    return { text, changed: true, added: [], newSecrets: named, publicSecrets: [], executor: built, replaced: null };
  }
  const missing = missingKeys(exampleText, envText);
  const added = missing.map(({ key }) => key);
  const current = parseEnvFile(envText, path);
  const example = parseEnvFile(exampleText, path);
  // A copy of the example that was made by hand, before the first installation, has no secrets yet.
  const copied = isUnsetImageTag(envValue(current, 'IMAGE_TAG'));
  const newSecrets = named.filter((key) => added.includes(key) || (copied && envValue(current, key) === ''));
  const publicSecrets = named.filter((key) => {
    const value = envValue(current, key);
    return value !== undefined && value !== '' && value === envValue(example, key);
  });
  const changes: Record<string, string> = Object.fromEntries(newSecrets.map((key) => [key, SECRET_STAND_IN]));
  if (envValue(current, 'IMAGE_TAG') !== version) changes['IMAGE_TAG'] = version;
  const own = envValue(current, 'TASK_EXECUTOR_IMAGE') ?? '';
  const executor = newExecutor(own, built);
  const replaced = built === null || own === '' || isDevelopmentExecutor(own) ? null : own;
  if (executor !== null) changes['TASK_EXECUTOR_IMAGE'] = executor;
  const text = setEnvValues(
    appendLines(
      envText,
      missing.flatMap(({ lines }) => lines),
    ),
    path,
    changes,
  );
  return { text, changed: text !== envText, added, newSecrets, publicSecrets, executor, replaced };
}

/** @param built what development mode builds; null outside it */
function newExecutor(present: string, built: string | null): string | null {
  if (built !== null) return present === built ? null : built;
  return present.endsWith('-dev') ? '' : null;
}
