import { dirname, join, resolve } from 'node:path';
import { parseConfig, type Config } from '../domain/config.ts';
import { fail } from '../domain/errors.ts';
import { versionFromFile, type Version } from '../domain/version.ts';
import { exists, readText } from '../effects/files.ts';
import { Git } from '../effects/git.ts';

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

/**
 * Opens the project that `directory` is in, looking upwards. Throws USAGE (exit 2) if there is none, BAD_CONFIG if it is unreadable.
 *
 * @param check may refuse what it reads from the files, before the first program runs
 */
export async function openProject(
  directory: string,
  check: (files: ProjectFiles) => Promise<void> = async () => {},
): Promise<Project> {
  const root = await findRoot(resolve(directory));
  const configPath = join(root, 'xingrin.yaml');
  const config = parseConfig(await readText(configPath), configPath);
  const composeDirectory = join(root, config.compose.directory);
  const state = join(root, '.xingrin');
  const files: ProjectFiles = {
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
  await check(files);
  return { ...files, git: await Git.open(root) };
}

/** The version in VERSION. Throws BAD_INPUT (exit 2) naming file and rule if it holds something else; null if there is no file. */
export async function readVersion(project: ProjectFiles): Promise<Version | null> {
  const text = await readText(project.versionFile);
  return text === null ? null : versionFromFile(text, 'VERSION');
}

async function findRoot(start: string): Promise<string> {
  for (let folder = start; ; folder = dirname(folder)) {
    for (const sign of ['xingrin.yaml', 'VERSION', join('docker', 'docker-compose.yml')]) {
      if (sign === 'VERSION' && !(await exists(join(folder, '.git'))) && !(await exists(join(folder, 'docker'))))
        continue;
      if (await exists(join(folder, sign))) return folder;
    }
    if (folder === dirname(folder)) break;
  }
  return fail(
    'USAGE',
    { en: `no project in ${start} or above it`, zh: `在 ${start} 及其上级目录中没有找到项目` },
    {
      hint: {
        en: 'name it with -C DIRECTORY, or make one with: xingrin init DIRECTORY',
        zh: '用 -C 目录 指定项目,或用 xingrin init 目录 新建一个',
      },
    },
  );
}
