import { dirname, join, resolve } from 'node:path';
import { parseConfig, type Config } from '../domain/config.ts';
import { fail } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { versionFromFile, type Version } from '../domain/version.ts';
import { exists, ownerOf, readText } from '../effects/files.ts';
import { Git } from '../effects/git.ts';
import { trustedUids } from '../effects/identity.ts';
import {
  isTrustedByGit,
  refuseTrackedState,
  requireTrustedRoot,
  requireTrustedState,
  strangersIn,
} from '../effects/trust.ts';

/** A project on this machine: where its parts are, and how it wants to be treated. Paths are absolute. */
export interface Project {
  readonly root: string;
  readonly config: Config;
  readonly versionFile: string;
  readonly composeDirectory: string;
  readonly envFile: string;
  readonly envExample: string;
  /** `.xingrin`: journal, history, backups, inventory, keys, lock. */
  readonly state: string;
  readonly journal: string;
  readonly backups: string;
  readonly historyFile: string;
  /** Services that were left out on purpose. */
  readonly leftOutFile: string;
  /** The declared workers. */
  readonly inventoryFile: string;
  /** Key pairs of the project's own; the way to workers. */
  readonly keys: string;
  /** Null outside a git checkout. */
  readonly git: Git | null;
}

/** The name of the git remote that a project follows. */
export const REMOTE = 'origin';

/** A project before any program was run for it. */
export type ProjectFiles = Omit<Project, 'git'>;

/** The state folder, from the project root. */
const STATE = '.xingrin';

/**
 * Opens the project that `directory` is in, looking upwards. Throws USAGE (exit 2) if there is none, BAD_CONFIG if it is unreadable,
 * PRECONDITION (exit 6) if another user could have made it or its state, or if its state came with the checkout.
 *
 * @param check may refuse what it reads from the files, before the first program runs
 */
export async function openProject(
  directory: string,
  check: (files: ProjectFiles) => Promise<void> = async () => {},
): Promise<Project> {
  const root = await findRoot(resolve(directory));
  await requireTrustedRoot(root);
  await requireTrustedState(join(root, STATE));
  const files = await projectFiles(root);
  await check(files);
  const git = await Git.open(root, STATE, (path) => refuseTrackedState(root, join(root, path)));
  return { ...files, git };
}

/**
 * Opens the project that a container was given. Its owner is trusted: the operator who started the container chose it.
 * Throws as {@link openProject} for its state, but for the owner of the project itself.
 */
export async function openMountedProject(root: string): Promise<Project> {
  await requireTrustedState(join(root, STATE), new Set([...trustedUids(), await ownerOf(root)]));
  return { ...(await projectFiles(root)), git: null };
}

async function projectFiles(root: string): Promise<ProjectFiles> {
  const configPath = join(root, 'xingrin.yaml');
  const config = parseConfig(await readText(configPath), configPath);
  const composeDirectory = join(root, config.compose.directory);
  const state = join(root, STATE);
  return {
    root,
    config,
    versionFile: join(root, 'VERSION'),
    composeDirectory,
    envFile: join(composeDirectory, '.env'),
    envExample: join(composeDirectory, '.env.example'),
    state,
    journal: join(state, 'journal'),
    backups: join(state, 'backups'),
    historyFile: join(state, 'history.json'),
    leftOutFile: join(state, 'left-out.json'),
    inventoryFile: join(state, 'inventory.yaml'),
    keys: join(state, 'keys'),
  };
}

/** The version in VERSION. Throws BAD_INPUT (exit 2) naming file and rule if it holds something else; null if there is no file. */
export async function readVersion(project: ProjectFiles): Promise<Version | null> {
  const text = await readText(project.versionFile);
  return text === null ? null : versionFromFile(text, 'VERSION');
}

/** The project folder, upwards. One above `start` that another user could have put there is passed over. */
async function findRoot(start: string): Promise<string> {
  let passed: Text | null = null;
  for (let folder = start; ; folder = dirname(folder)) {
    if (await looksLikeProject(folder)) {
      const strangers = folder === start ? null : await strangersIn(folder);
      if (strangers === null || (await isTrustedByGit(folder))) return folder;
      passed ??= strangers;
    }
    if (folder === dirname(folder)) break;
  }
  return fail(
    'USAGE',
    {
      en: `no project in ${start} or above it${passed === null ? '' : ` (one was passed over: ${passed.en})`}`,
      zh: `在 ${start} 及其上级目录中没有找到项目${passed === null ? '' : `(略过了一个:${passed.zh})`}`,
    },
    {
      hint: {
        en: 'name it with -C DIRECTORY, or make one with: xingrin init DIRECTORY',
        zh: '用 -C 目录 指定项目,或用 xingrin init 目录 新建一个',
      },
    },
  );
}

async function looksLikeProject(folder: string): Promise<boolean> {
  for (const sign of ['xingrin.yaml', 'VERSION', join('docker', 'docker-compose.yml')]) {
    if (sign === 'VERSION' && !(await exists(join(folder, '.git'))) && !(await exists(join(folder, 'docker'))))
      continue;
    if (await exists(join(folder, sign))) return true;
  }
  return false;
}
