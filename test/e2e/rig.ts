import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { BaseImage } from '../../src/sandbox/base-images.ts';
import type { Engine } from '../../src/sandbox/engine.ts';
import { checkDocument } from './documents.ts';
import { openSandbox, type Sandbox } from '../../src/sandbox/sandbox.ts';

/** The built command. */
export const ENTRY = new URL('../../bin/xingrin.js', import.meta.url).pathname;

/** What a program did. */
export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** On top of the rig's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string;
}

/** Real parts for one test file: a registry that stands in for Docker Hub, an engine, a home, a folder. */
export interface Rig {
  readonly sandbox: Sandbox;
  readonly engine: Engine;
  /** Temporary, removed at the end. */
  readonly folder: string;
  /** The whole environment of the programs that the rig runs: DOCKER_HOST, DOCKER_USER, HOME, PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** The built command. */
  xingrin(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Docker's client against the rig's engine. */
  docker(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Any program in the rig's environment. */
  run(argv: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Any program that must succeed; its output without the final newline. */
  must(argv: readonly string[], options?: RunOptions): Promise<string>;
  /** A bare repository below the folder; its path. */
  bareRepository(name: string): Promise<string>;
  /** The environment with another engine in it. */
  envFor(engine: Engine): Record<string, string>;
  close(): Promise<void>;
}

/** What the services that `init` writes are built from. */
const USUAL: readonly BaseImage[] = ['busybox:1.37', 'alpine:3.20', 'node:20-alpine', 'nginx:1.27-alpine'];

export async function openRig(images: readonly BaseImage[] = USUAL): Promise<Rig> {
  const sandbox = await openSandbox(images);
  try {
    const engine = await sandbox.engine('main');
    const folder = await mkdtemp('/tmp/xingrin-e2e-');
    const env = await environment(folder, engine, `${sandbox.registry.address}/team`);
    return assemble(sandbox, engine, folder, env);
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

function assemble(sandbox: Sandbox, engine: Engine, folder: string, env: Record<string, string>): Rig {
  async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const [file = '', ...args] = argv;
    const result = await execa(file, args, {
      reject: false,
      extendEnv: false,
      cwd: options.cwd ?? folder,
      env: withoutUndefined({ ...env, ...options.env }),
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    });
    const { exitCode = -1, stdout, stderr } = result;
    return { exitCode, stdout, stderr: exitCode === -1 ? `${stderr}\n${result.shortMessage ?? ''}` : stderr };
  }
  async function must(argv: readonly string[], options?: RunOptions): Promise<string> {
    const result = await run(argv, options);
    if (result.exitCode !== 0)
      throw new Error(`${argv.join(' ')}: ${result.exitCode}\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  }
  return {
    sandbox,
    engine,
    folder,
    env,
    async xingrin(args, options) {
      const outcome = await run([process.execPath, ENTRY, ...args], options);
      if (args.includes('--json')) await checkDocument(outcome.stdout);
      return outcome;
    },
    docker: (args, options) => run(['docker', ...args], options),
    run,
    must,
    async bareRepository(name) {
      const path = join(folder, `${name}.git`);
      await must(['git', 'init', '--quiet', '--bare', '--initial-branch=main', path]);
      return path;
    },
    envFor: (other) => ({ ...env, DOCKER_HOST: other.dockerHost }),
    async close() {
      await sandbox.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function environment(folder: string, engine: Engine, dockerUser: string): Promise<Record<string, string>> {
  const home = join(folder, 'home');
  await mkdir(join(home, '.docker'), { recursive: true });
  await writeFile(join(home, '.docker', 'config.json'), '{}\n');
  const git = '[user]\n\tname = Release Test\n\temail = release@example.invalid\n[init]\n\tdefaultBranch = main\n';
  await writeFile(join(home, '.gitconfig'), git);
  return {
    HOME: home,
    PATH: process.env['PATH'] ?? '',
    LANG: 'C.UTF-8',
    DOCKER_HOST: engine.dockerHost,
    DOCKER_USER: dockerUser,
    GIT_CONFIG_NOSYSTEM: '1',
    NO_COLOR: '1',
  };
}

function withoutUndefined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
