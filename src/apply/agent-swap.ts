import { createHmac, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { agentContainer, askSwap, beginSwap, removeAgent, type AgentSpec, type ScriptCall } from '../argv/agent.ts';
import { fail, UserError } from '../domain/errors.ts';
import { redact } from '../domain/redact.ts';
import type { Text } from '../domain/text.ts';
import { inspectAgents, parseAgents } from '../observe/agents.ts';
import type { Connection, ExecResult } from '../effects/transport.ts';

/** Milliseconds for a question whose answer does not wait for anything. */
const QUESTION_LIMIT = 60_000;
/** Seconds that one question waits on the worker for the end of a swap. */
const WAIT = 15;
/** Milliseconds that a worker may be out of reach while it swaps, until we stop asking. */
const LOST_LIMIT = 30_000;
/** Seconds that the worker takes, after the new agent has failed, to have the old one back; more if Docker is away. */
const WAY_BACK = 60;

/** A worker, and the way to it: asked for again after a connection broke. */
export interface WorkerHost {
  readonly name: string;
  /** @throws UNREACHABLE, AUTHENTICATION or HOST_KEY (exit 4), naming the worker */
  connect(): Promise<Connection>;
}

export interface SwapOptions {
  /** Seconds for the new agent to become healthy. */
  readonly limit: number;
  /** Seconds to wait for another swap that is at work there; none unless given. */
  readonly patience?: number;
  /** Stops waiting; the worker goes on by itself. */
  readonly signal?: AbortSignal;
}

/**
 * Replaces the agent of a worker, whose images must be there. The worker does it by itself: whatever becomes of us or of the
 * connection, it ends with the new agent if that became healthy within the limit, else with the old one. `unchanged` where just that
 * agent runs already: decided over there, under the lock of swaps.
 *
 * @throws UNHEALTHY (exit 7) if the new agent failed: the old one runs again, or was never touched; LOCKED (5) while another swap
 *   is at work there; UNREACHABLE (4) if the worker cannot be asked for the end of it
 */
export async function swapAgent(
  host: WorkerHost,
  spec: AgentSpec,
  options: SwapOptions,
): Promise<'done' | 'unchanged'> {
  const id = randomBytes(8).toString('hex');
  if ((await begin(host, id, spec, options)) === 'inplace') return 'unchanged';
  const { state, reason, log } = await follow(host, id, spec, options);
  if (state === 'confirmed') return 'done';
  throw swapFailure(host.name, spec, { state, reason, log });
}

/** What an agent is made from, as one value. Keyed with the secret in it: who reads it cannot try secrets that are easy to guess. */
function markOf(spec: AgentSpec): string {
  const { AGENT_TOKEN, ...environment } = spec.environment;
  return createHmac('sha256', AGENT_TOKEN)
    .update(JSON.stringify([agentContainer(spec), environment]))
    .digest('hex');
}

/** Takes the agents of a project off a worker, and what swaps left there. Throws LOCKED (5) or FAILED (1), naming the worker. */
export async function takeAgentAway(host: WorkerHost, project: string): Promise<void> {
  const result = await call(await host.connect(), removeAgent(project));
  const [answer = ''] = result.stdout.trim().split('\n');
  if (answer === 'removed') return;
  if (answer === 'busy') throw busy(host.name);
  fail(
    'FAILED',
    { en: `the agent on ${host.name} could not be removed`, zh: `无法移除 ${host.name} 上的 agent` },
    {
      host: host.name,
      evidence: result.stderr.trimEnd(),
      hint: {
        en: `see to it that Docker runs there, or take it out of the inventory alone: xingrin worker remove ${host.name} --force`,
        zh: `请确认该主机的 Docker 正在运行;或仅从清单中移除:xingrin worker remove ${host.name} --force`,
      },
    },
  );
}

async function begin(
  host: WorkerHost,
  id: string,
  spec: AgentSpec,
  options: SwapOptions,
): Promise<'begun' | 'inplace'> {
  const deadline = Date.now() + (options.patience ?? 0) * 1000;
  const request = beginSwap(id, options.limit, markOf(spec), spec);
  for (;;) {
    if (options.signal?.aborted === true) throw stopped(host.name);
    const connection = await host.connect();
    let result: ExecResult;
    try {
      result = await call(connection, request);
    } catch (error) {
      // It may have begun all the same.
      if (isLost(error)) return 'begun';
      throw error;
    }
    const [answer = '', other = ''] = (result.stdout.split('\n')[0] ?? '').split(' ');
    if (answer === 'begun' || answer === 'inplace') return answer;
    if (answer !== 'busy') throw silentEngine(host.name, result);
    if (Date.now() >= deadline) throw busy(host.name);
    await call(connection, askSwap(other === '' ? id : other, WAIT));
    await pause(500);
  }
}

function silentEngine(name: string, { stderr }: ExecResult): UserError {
  return new UserError(
    'ENGINE_MISSING',
    {
      en: `Docker on ${name} does not answer; its agent was not touched`,
      zh: `${name} 上的 Docker 没有响应;未改动其 agent`,
    },
    {
      host: name,
      evidence: stderr.trimEnd(),
      hint: { en: `look there: systemctl status docker`, zh: `请在该主机上查看:systemctl status docker` },
    },
  );
}

interface SwapState {
  readonly state: string;
  readonly reason: string;
  readonly log: string;
}

/** Asks until the swap has ended; over a new connection if the old one broke. */
async function follow(host: WorkerHost, id: string, spec: AgentSpec, options: SwapOptions): Promise<SwapState> {
  const deadline = Date.now() + (options.limit + WAY_BACK) * 1000;
  let lastSeen = Date.now();
  for (;;) {
    if (options.signal?.aborted === true) throw stopped(host.name);
    try {
      const connection = await host.connect();
      const { stdout } = await call(connection, askSwap(id, WAIT));
      const [first = '', ...log] = stdout.trimEnd().split('\n');
      const [, state = 'unknown', reason = '-'] = first.split(' ');
      if (state === 'unknown' && (await runs(connection, spec))) return { state: 'confirmed', reason, log: '' };
      if (state !== 'prepared' && state !== 'started') return { state, reason, log: log.join('\n') };
      if (Date.now() > deadline) return { state: 'stuck', reason: 'engine', log: log.join('\n') };
      lastSeen = Date.now();
    } catch (error) {
      if (!isLost(error) || Date.now() - lastSeen > LOST_LIMIT) throw error;
      await pause(1_000);
    }
  }
}

/** For a worker that was restarted in the middle, and forgot: whether the agent that runs there is the new one. */
async function runs(connection: Connection, { image }: AgentSpec): Promise<boolean> {
  const { stdout } = await connection.exec(inspectAgents(), { timeout: QUESTION_LIMIT });
  const [found, next] = parseAgents(stdout);
  return next === undefined && found?.image === image && found.state === 'running';
}

function call(connection: Connection, { argv, input }: ScriptCall): Promise<ExecResult> {
  return connection.exec(argv, { input, timeout: QUESTION_LIMIT });
}

function isLost(error: unknown): boolean {
  return error instanceof UserError && (error.code === 'UNREACHABLE' || error.code === 'TIMEOUT');
}

const REASONS: Readonly<Record<string, Text>> = {
  create: { en: 'its container could not be made', zh: '无法创建其容器' },
  stop: { en: 'the old one could not be stopped', zh: '无法停止旧 agent' },
  version: { en: 'its image holds another version than its tag says', zh: '镜像内的版本与其标签不符' },
  start: { en: 'it could not be started', zh: '无法启动' },
  unhealthy: { en: 'the server accepted no heartbeat from it', zh: '服务端没有收到它的有效心跳' },
  silent: { en: 'it did not become healthy in time', zh: '未能在时限内变为健康' },
  exited: { en: 'it ended by itself', zh: '它自行退出了' },
  killed: { en: 'the swap was killed there', zh: '该主机上的替换过程被终止' },
};

const ENDS: Readonly<Record<string, Text>> = {
  kept: { en: 'the old one was not touched', zh: '旧 agent 未受影响' },
  restored: { en: 'the old one runs again', zh: '已恢复旧 agent' },
  removed: { en: 'there was no other one before', zh: '此前没有其他 agent' },
  stuck: { en: 'Docker there does not answer', zh: '该主机的 Docker 没有响应' },
  unknown: { en: 'the worker does not remember it: was it restarted?', zh: '该主机没有相关记录(是否重启过?)' },
};

function swapFailure(name: string, spec: AgentSpec, { state, reason, log }: SwapState): UserError {
  const why = REASONS[reason] ?? { en: 'it did not become healthy', zh: '未变为健康' };
  const end = ENDS[state] ?? { en: state, zh: state };
  const evidence = redact(log, [spec.environment.AGENT_TOKEN]);
  return new UserError(
    'UNHEALTHY',
    {
      en: `the new agent on ${name} failed: ${why.en}; ${end.en}`,
      zh: `${name} 上的新 agent 失败:${why.zh};${end.zh}`,
    },
    {
      host: name,
      ...(evidence === '' ? {} : { evidence }),
      hint: {
        en:
          reason === 'version'
            ? 'publish a new version whose agent image is built for it, then: xingrin update'
            : `can that host reach ${spec.environment.SERVER_URL}? mend it, then: xingrin worker update ${name}`,
        zh:
          reason === 'version'
            ? '请发布一个 agent 镜像版本正确的新版本,然后:xingrin update'
            : `请检查该主机能否访问 ${spec.environment.SERVER_URL};修复后执行:xingrin worker update ${name}`,
      },
    },
  );
}

function busy(name: string): UserError {
  return new UserError(
    'LOCKED',
    { en: `another update of the agent on ${name} is at work`, zh: `${name} 上正在进行另一次 agent 更新` },
    { host: name, hint: { en: 'wait a minute, then try again', zh: '请稍候一分钟再试' } },
  );
}

function stopped(name: string): UserError {
  return new UserError(
    'INTERRUPTED',
    {
      en: `no longer waiting for ${name}, which ends the update of its agent by itself`,
      zh: `不再等待 ${name};该主机会自行完成 agent 更新`,
    },
    { host: name },
  );
}
