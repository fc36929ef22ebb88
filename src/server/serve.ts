import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseInventory } from '../domain/inventory.ts';
import { fail } from '../domain/errors.ts';
import type { Log } from '../effects/log.ts';
import { readText } from '../effects/files.ts';
import { unfinishedOperations } from '../apply/journal.ts';
import type { Project } from '../observe/project.ts';
import type { AgentUpdater } from './agent-updater.ts';
import { makeApp } from './app.ts';
import { EmbeddedStore } from './embedded-store.ts';
import { RedisStore } from './redis-store.ts';
import { Roster } from './roster.ts';
import { readWanted, type ServerSettings } from './settings.ts';
import type { Store } from './store.ts';
import type { TaskRunner } from './task-runner.ts';

/** Milliseconds between two looks at the inventory. */
const INVENTORY_PAUSE = 2_000;
/** Milliseconds between two looks at tasks that should have been started. */
const TASK_PAUSE = 60_000;
/** Milliseconds that requests under way are given at the end. */
const DRAIN_LIMIT = 2_000;

export interface ServeOptions {
  readonly project: Project;
  readonly settings: ServerSettings;
  readonly log: Log;
  readonly updater: AgentUpdater | null;
  readonly tasks: TaskRunner | null;
}

/** A control plane that listens. */
export interface Serving {
  readonly port: number;
  /** Takes no new requests, lets those under way end, and keeps what it knows. */
  close(): Promise<void>;
}

/** Starts the control plane of a project. Throws PRECONDITION (exit 6) where the port is taken. */
export async function serve({ project, settings, log, updater, tasks }: ServeOptions): Promise<Serving> {
  const store = storeFor(project, settings, log);
  const { wanted, localName } = settings;
  const roster = new Roster({
    store,
    log,
    wanted,
    localName,
    updater,
    held,
  });
  /** While a deployment is under way, or when this server is one that another version has replaced in docker/.env. */
  async function held(): Promise<boolean> {
    const [unfinished, asked] = await Promise.all([unfinishedOperations(project.journal), readWanted(project)]);
    return unfinished.length > 0 || (asked !== null && asked !== roster.wanted);
  }
  let text = await readText(project.inventoryFile);
  await roster.open(parseInventory(text, project.inventoryFile));
  if (settings.agentToken === '' && settings.agentAuth === 'required')
    log.warn('AGENT_TOKEN is empty: no agent is let in');
  if (settings.adminToken === '') log.warn('ADMIN_TOKEN is empty: nobody can ask for the workers');
  const app = await makeApp({ roster, store, log, tasks, secrets: settings, version: wanted ?? 'unversioned' });
  const watch = setInterval(() => void look(), INVENTORY_PAUSE).unref();
  async function look(): Promise<void> {
    try {
      if (settings.wantedFromFile) await lookAtVersion();
      const now = await readText(project.inventoryFile);
      if (now === text) return;
      const inventory = parseInventory(now, project.inventoryFile);
      text = now;
      roster.declare(inventory);
      log.info('the inventory changed', { workers: inventory.workers.length });
    } catch (error) {
      // Whoever edits it will save it again; until then the one before counts.
      log.warn('the inventory cannot be read', { error: String(error) });
    }
  }
  async function lookAtVersion(): Promise<void> {
    const asked = await readWanted(project);
    if (asked === null || asked === roster.wanted) return;
    roster.wanted = asked;
    log.info('another version is asked for', { version: asked });
  }
  const port = await listen(app.http.server, settings.port);
  const resume = (): void =>
    void tasks?.resume().catch((error: unknown) => log.error('tasks cannot be resumed', { error: String(error) }));
  resume();
  const tasksWatch = setInterval(resume, TASK_PAUSE).unref();
  log.info('serving', { port, version: wanted, store: store.kind, workers: roster.all().length });
  return {
    port,
    async close() {
      clearInterval(watch);
      clearInterval(tasksWatch);
      roster.close();
      const limit = setTimeout(() => app.http.server.closeAllConnections(), DRAIN_LIMIT).unref();
      await app.close();
      clearTimeout(limit);
      await store.close();
    },
  };
}

function storeFor(project: Project, { redisUrl }: ServerSettings, log: Log): Store {
  return redisUrl === null ? new EmbeddedStore(join(project.state, 'server'), log) : new RedisStore(redisUrl, log);
}

async function listen(server: import('node:http').Server, port: number): Promise<number> {
  server.listen(port);
  try {
    await once(server, 'listening');
  } catch (error) {
    fail(
      'PRECONDITION',
      { en: `port ${port} cannot be listened on`, zh: `无法监听端口 ${port}` },
      { hint: { en: 'name another one with PORT', zh: '请用 PORT 指定其他端口' }, cause: error },
    );
  }
  return (server.address() as AddressInfo).port;
}
