import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Worker } from '../../src/domain/inventory.ts';
import { openLog } from '../../src/effects/log.ts';
import { agentToken } from '../../src/effects/agent-token.ts';
import { openProject } from '../../src/observe/project.ts';
import type { AgentUpdater } from '../../src/server/agent-updater.ts';
import { serve, type Serving } from '../../src/server/serve.ts';
import type { ServerSettings } from '../../src/server/settings.ts';

export const AGENT_SECRET = 'secret-of-the-agents';
export const ADMIN_TOKEN = 'token-of-the-operator';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

/** A project with two declared workers (2 `w2`, 3 `w3`), and control planes of it that really listen. */
export interface ServerRig {
  readonly root: string;
  /** What the servers logged. */
  readonly log: string[];
  start(settings?: Partial<ServerSettings>, updater?: AgentUpdater): Promise<RunningServer>;
  /**
   * The same as a process of its own: what the image xingrin-server runs. Stopping kills it with -9.
   *
   * @param under a program that runs it, with its arguments
   */
  spawn(environment?: Record<string, string>, under?: readonly string[]): Promise<RunningServer>;
  close(): Promise<void>;
}

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  call(path: string, init?: RequestInit): Promise<Answer>;
  /** A heartbeat with the worker's own token, unless another one is given. */
  beat(id: number, body?: unknown, token?: string): Promise<Answer>;
  register(name: string, local?: boolean): Promise<Answer>;
  workers(): Promise<Record<string, unknown>[]>;
  worker(id: number): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export const tokenOf = (id: number): string => agentToken(AGENT_SECRET, id);
export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
export const asAdmin = { headers: bearer(ADMIN_TOKEN) };
export const post = (body: unknown, token?: string): RequestInit => ({
  method: 'POST',
  ...(token === undefined ? {} : { headers: bearer(token) }),
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
export const VITALS = { cpu_percent: 10, memory_percent: 20, version: 'v1.2.3' };

const BUNDLE = fileURLToPath(new URL('../../dist/server.mjs', import.meta.url));

const INVENTORY = `lastId: 3
workers:
  - {id: 2, name: w2, host: 10.9.9.2, port: 22, user: root}
  - {id: 3, name: w3, host: 10.9.9.3, port: 22, user: root}
`;

export async function openServerRig(): Promise<ServerRig> {
  const root = await mkdtemp(join(tmpdir(), 'xingrin-server-'));
  await mkdir(join(root, '.xingrin'));
  await mkdir(join(root, 'docker'));
  await writeFile(join(root, 'docker/docker-compose.yml'), 'services: {}\n');
  await writeFile(join(root, '.xingrin/inventory.yaml'), INVENTORY);
  const log: string[] = [];
  const running = new Set<Serving>();
  const processes = new Set<ChildProcess>();
  return {
    root,
    log,
    async start(settings = {}, updater) {
      const all: ServerSettings = {
        port: 0,
        redisUrl: null,
        agentAuth: 'required',
        agentToken: AGENT_SECRET,
        adminToken: ADMIN_TOKEN,
        wanted: 'v1.2.3',
        wantedFromFile: false,
        localName: 'local',
        ...settings,
      };
      const project = await openProject(root);
      const secrets = [AGENT_SECRET, ADMIN_TOKEN];
      const serving = await serve({
        project,
        settings: all,
        log: openLog(secrets, (line) => log.push(line)),
        updater: updater ?? null,
        tasks: null,
      });
      running.add(serving);
      return clientAt(serving.port, async () => {
        running.delete(serving);
        await serving.close();
      });
    },
    async spawn(environment = {}, under = []) {
      const env = {
        PATH: process.env['PATH'],
        PROJECT: root,
        PORT: '0',
        AGENT_TOKEN: AGENT_SECRET,
        ADMIN_TOKEN,
        IMAGE_TAG: 'v1.2.3',
        WORKER_NAME: 'local',
        ...environment,
      };
      const { child, port } = await spawnServer(env, log, under, (each) => processes.add(each));
      return clientAt(port, () => killed(child));
    },
    async close() {
      for (const serving of running) await serving.close();
      for (const child of processes) await killed(child);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/**
 * A control plane as a process of its own.
 *
 * @param env its whole environment
 * @param log gets what it says
 * @param under a program that runs it, with its arguments
 * @param begun called with the process before it serves
 */
export async function spawnServer(
  env: Readonly<Record<string, string | undefined>>,
  log: string[],
  under: readonly string[] = [],
  begun: (child: ChildProcess) => void = () => {},
): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  const [program = process.execPath, ...args] = [...under, process.execPath, BUNDLE];
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  begun(child);
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${log.slice(-5).join('')}`)));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      log.push(text);
      const found = /"message":"serving","port":(\d+)/.exec(text)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
  });
  return { child, port };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Clients of a server, and what it does when it is stopped. */
function clientAt(port: number, stop: () => Promise<void>): RunningServer {
  const url = `http://127.0.0.1:${port}`;
  async function call(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(url + path, init);
    return {
      status: response.status,
      headers: response.headers,
      body: JSON.parse((await response.text()) || '{}') as Record<string, unknown>,
    };
  }
  return {
    url,
    port,
    call,
    beat: (id, body = VITALS, token = tokenOf(id)) => call(`/api/workers/${id}/heartbeat/`, post(body, token)),
    register: (name, local = false) => call('/api/workers/register/', post({ name, is_local: local }, AGENT_SECRET)),
    workers: async () => (await call('/api/workers/', asAdmin)).body['workers'] as Record<string, unknown>[],
    worker: async (id) => (await call(`/api/workers/${id}/`, asAdmin)).body,
    stop,
  };
}

/** Does one update at a time as it is told to, and notes who asked. */
export class StrictUpdater implements AgentUpdater {
  readonly calls: string[] = [];
  readonly swaps: string[] = [];
  readonly #under = new Set<number>();
  #finish = new Map<number, (error?: unknown) => void>();

  pull(worker: Worker, version: string, signal: AbortSignal): Promise<void> {
    if (this.#under.has(worker.id)) throw new Error(`two updates of ${worker.name} at once`);
    if (signal.aborted) throw new Error('began after the end');
    this.#under.add(worker.id);
    this.calls.push(`${worker.name} ${version}`);
    return new Promise((resolve, reject) => {
      this.#finish.set(worker.id, (error) => {
        this.#under.delete(worker.id);
        if (error === undefined) resolve();
        else reject(error as Error);
      });
      signal.addEventListener('abort', () => reject(new Error('given up')), { once: true });
    });
  }

  async swap({ name }: Worker): Promise<void> {
    this.swaps.push(name);
  }

  end(id: number, error?: unknown): void {
    const finish = this.#finish.get(id);
    if (finish === undefined) throw new Error(`no update of ${id} is under way`);
    this.#finish.delete(id);
    finish(error);
  }
}
