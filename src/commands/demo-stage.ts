import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { fail } from '../domain/errors.ts';
import { same, type Language } from '../domain/text.ts';
import { CERTIFICATE_FILES } from '../effects/certificate.ts';
import { makeFolder, readText, writeFileAtomic } from '../effects/files.ts';
import type { FrontDoor } from '../effects/front-door.ts';
import { packageRoot } from '../effects/package-root.ts';
import { run } from '../effects/process.ts';
import type { Place } from '../plan/demo.ts';
import type { BaseImage } from '../sandbox/base-images.ts';
import { environmentOf, keptParts, sweep } from '../sandbox/records.ts';
import { openSandbox } from '../sandbox/sandbox.ts';

/** What the services that `init` writes are built from. */
export const DEMO_IMAGES: readonly BaseImage[] = ['busybox:1.37', 'alpine:3.20', 'node:20-alpine', 'nginx:1.27-alpine'];

/** Where nginx of a new project listens. */
const PORT = 8083;
const PROJECT = 'shop';
/** Lines of a failed command's talk that an error shows. */
const EVIDENCE_LINES = 15;

const documentSchema = z.object({
  ok: z.boolean(),
  data: z.record(z.string(), z.unknown()),
  error: z.object({ message: z.string(), hint: z.string().optional() }).optional(),
});

const keptSchema = z.object({ parts: z.array(z.string()) });

/**
 * Two machines, a git remote and a registry. Everything, files and processes, belongs to the sandbox's network and goes with
 * it, whatever becomes of us.
 */
export interface Stage {
  /** `10.x.y.254:5000/team` */
  readonly repository: string;
  readonly remote: string;
  /** `10.x.y.n` */
  readonly address: string;
  readonly port: number;
  readonly dockerHost: string;
  /** The checkout of each machine. */
  readonly project: Readonly<Record<Place, string>>;
  /** A command of xingrin, called as an operator would; its `data`. Throws FAILED with its last words. */
  xingrin(place: Place, args: readonly string[], onLine: (line: string) => void): Promise<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** A program that has to succeed; what it printed. */
  must(argv: readonly string[], folder?: string): Promise<string>;
  /** The way in, once there is a certificate. */
  door(): Promise<FrontDoor | null>;
  /** Lets it outlive this process; the file that brings a shell there. */
  keep(): Promise<string>;
  close(): Promise<void>;
}

/**
 * Opens the sandbox and lays out its folders.
 *
 * @param language of the commands that are called there
 * @param signal ends all waiting at the front door
 */
export async function openStage(language: Language, signal: AbortSignal): Promise<Stage> {
  const sandbox = await openSandbox(DEMO_IMAGES);
  try {
    const engine = await sandbox.engine('server');
    const { part } = sandbox.network;
    const folder = folderOf(part.folder);
    const entry = join(await packageRoot(), 'bin', 'xingrin.js');
    const env = { ...environmentOf(part), ...(await environment(folder, engine.dockerHost)) };
    const project = { dev: join(folder, 'dev', PROJECT), server: join(folder, 'server', PROJECT) };
    const { address, dockerHost } = engine;
    await makeFolder(join(folder, 'dev'), 0o755);
    await makeFolder(join(folder, 'server'), 0o755);

    async function must(argv: readonly string[], cwd = folder): Promise<string> {
      const result = await run(argv, { cwd, env });
      if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.code}: ${result.stderr.trim()}`);
      return result.stdout.trimEnd();
    }
    return {
      repository: `${sandbox.registry.address}/team`,
      remote: join(folder, `${PROJECT}.git`),
      address,
      port: PORT,
      dockerHost,
      project,
      signal,
      must,
      async xingrin(place, args, onLine) {
        const options = ['--yes', '--json', '--progress', 'plain', '--lang', language];
        const argv = [process.execPath, entry, ...args, ...options];
        const cwd = args[0] === 'init' ? join(folder, place) : project[place];
        const result = await run(argv, { cwd, env, onLine: (line) => line.startsWith('{') || onLine(line) });
        return dataOf(`${place}$ xingrin ${args.join(' ')}`, result.stdout, result.stderr);
      },
      async door() {
        const path = join(project.server, 'docker', 'nginx', 'ssl', CERTIFICATE_FILES.authority);
        const authority = await readText(path);
        return authority === null ? null : { host: address, port: PORT, authority, signal };
      },
      async keep() {
        await writeFileAtomic(keptRecord(part.folder), JSON.stringify({ parts: [engine.id, part.id] }));
        await sandbox.keep();
        return writeShellFile(folder, entry, dockerHost);
      },
      close: () => sandbox.close(),
    };
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

/** A demo that was left running. */
export interface KeptDemo {
  readonly folder: string;
  readonly parts: readonly string[];
}

export async function keptDemos(): Promise<KeptDemo[]> {
  const demos: KeptDemo[] = [];
  for (const part of await keptParts()) {
    const text = await readText(keptRecord(part.folder));
    if (text !== null) demos.push({ folder: part.folder, parts: keptSchema.parse(JSON.parse(text)).parts });
  }
  return demos;
}

export async function removeDemo(demo: KeptDemo): Promise<void> {
  await sweep({ kept: demo.parts });
}

function folderOf(partFolder: string): string {
  return join(partFolder, 'demo');
}

function keptRecord(partFolder: string): string {
  return join(folderOf(partFolder), 'kept.json');
}

/** Of the caller's environment only what programs are found by; neither proxies nor settings of git and Docker. */
async function environment(folder: string, dockerHost: string): Promise<Record<string, string>> {
  const home = join(folder, 'home');
  // Docker's plugins may be the caller's own.
  const plugins = join(homedir(), '.docker', 'cli-plugins');
  await writeFileAtomic(join(home, '.docker', 'config.json'), JSON.stringify({ cliPluginsExtraDirs: [plugins] }));
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    DOCKER_HOST: dockerHost,
    LANG: 'C.UTF-8',
    NO_COLOR: '1',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
  };
}

function dataOf(typed: string, stdout: string, stderr: string): Record<string, unknown> {
  const document = documentSchema.safeParse(parsed(stdout));
  if (document.success && document.data.ok) return document.data.data;
  const reason = document.success ? (document.data.error?.message ?? '') : 'no document';
  const hint = document.success ? document.data.error?.hint : undefined;
  return fail(
    'FAILED',
    { en: `the demo ends early: ${typed}: ${reason}`, zh: `演示提前结束:${typed}:${reason}` },
    {
      evidence: stderr.trimEnd().split('\n').slice(-EVIDENCE_LINES).join('\n'),
      ...(hint === undefined ? {} : { hint: same(hint) }),
    },
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A file to be read by the shell of somebody who wants to go on: the engine, and `xingrin` itself. */
async function writeShellFile(folder: string, entry: string, dockerHost: string): Promise<string> {
  const program = join(folder, 'bin', 'xingrin');
  const script = `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(entry)} "$@"\n`;
  await writeFileAtomic(program, script, { mode: 0o755 });
  const file = join(folder, 'env');
  const lines = [`export DOCKER_HOST=${quoted(dockerHost)}`, `export PATH=${quoted(join(folder, 'bin'))}:"$PATH"`];
  await writeFileAtomic(file, `${lines.join('\n')}\n`);
  return file;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
