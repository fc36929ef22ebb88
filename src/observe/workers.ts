import * as z from 'zod';
import { UserError } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import type { Text } from '../domain/text.ts';
import { onEach } from '../effects/fleet.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import type { Connection } from '../effects/transport.ts';
import { inspectAgents, parseAgents, type AgentContainer } from './agents.ts';
import { everyHost, type ReachableWorker } from './every-host.ts';
import { requireEngineOn } from './tasks.ts';
import type { Installed } from './worker-images.ts';

/** `online`: its agent is well and on the version. `unreachable` says nothing about what runs there. */
export type WorkerStatus = 'pending' | 'online' | 'updating' | 'outdated' | 'offline' | 'unreachable';

/** A worker as it is, asked over SSH. */
export interface WorkerView {
  readonly worker: Worker;
  readonly status: WorkerStatus;
  /** Of its agent. */
  readonly version: string | null;
  /** Why it is not online. */
  readonly reason: Text | null;
  /** Images that it should have and has not; empty where that cannot be asked. */
  readonly missing: readonly string[];
}

/** Milliseconds for one question. */
const LIMIT = 20_000;
const SIDE_BY_SIDE = 32;

/**
 * Asks workers how they are, all side by side, each for a limited time.
 *
 * @param installed what they should have; null where nothing says so
 */
export async function observeWorkers(
  workers: readonly Worker[],
  ring: KeyRing,
  installed: Installed | null,
): Promise<WorkerView[]> {
  const hosts = everyHost(workers, ring);
  try {
    const outcomes = await onEach(hosts.workers, SIDE_BY_SIDE, (host) => view(host, installed));
    return outcomes.map((outcome) => ('error' in outcome ? silent(outcome.host.worker, outcome.error) : outcome.value));
  } finally {
    await hosts.close();
  }
}

async function view(host: ReachableWorker, installed: Installed | null): Promise<WorkerView> {
  const connection = await host.connect();
  const { stdout } = await connection.exec(inspectAgents(), { timeout: LIMIT });
  const agents = parseAgents(stdout);
  // Without an agent Docker's silence looks the same.
  if (agents.length === 0) await requireEngineOn(connection, host);
  const [agent] = agents;
  return {
    worker: host.worker,
    version: agent?.version ?? null,
    ...judgeAgent(agents, installed?.version ?? null),
    missing: await missingOn(
      connection,
      (installed?.images ?? []).map(({ reference }) => reference),
    ),
  };
}

/** What the containers of agents on a host mean; the version that is wanted is null where nothing says so. */
export function judgeAgent(
  [agent, next]: readonly AgentContainer[],
  wanted: string | null,
): Pick<WorkerView, 'status' | 'reason'> {
  if (agent === undefined) return { status: 'pending', reason: { en: 'there is no agent', zh: '没有 agent' } };
  if (next !== undefined)
    return { status: 'updating', reason: { en: 'its agent is being replaced', zh: '正在替换 agent' } };
  if (agent.state !== 'running')
    return { status: 'offline', reason: { en: `its agent is ${agent.state}`, zh: `agent 状态为 ${agent.state}` } };
  if (wanted !== null && agent.version !== wanted) {
    const runs = agent.version ?? agent.image;
    const reason = { en: `its agent runs ${runs}, not ${wanted}`, zh: `agent 运行的是 ${runs},而不是 ${wanted}` };
    return { status: 'outdated', reason };
  }
  if (agent.health === null || agent.health === 'healthy') return { status: 'online', reason: null };
  const reason = { en: 'the server does not hear its agent', zh: '服务端没有收到其 agent 的心跳' };
  return { status: 'offline', reason };
}

async function missingOn(connection: Connection, references: readonly string[]): Promise<string[]> {
  if (references.length === 0) return [];
  const argv = ['docker', 'image', 'inspect', '--format', '{{json .RepoTags}}', '--', ...references];
  const { stdout } = await connection.exec(argv, { timeout: LIMIT });
  const here = stdout
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => z.array(z.string()).nullish().parse(JSON.parse(line)) ?? []);
  return references.filter((reference) => !here.includes(reference));
}

function silent(worker: Worker, error: unknown): WorkerView {
  if (!(error instanceof UserError) || error.code === 'INTERRUPTED') throw error;
  const status = error.code === 'ENGINE_MISSING' ? 'offline' : 'unreachable';
  return { worker, status, version: null, reason: error.text, missing: [] };
}
