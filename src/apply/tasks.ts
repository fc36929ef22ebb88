import { setTimeout as pause } from 'node:timers/promises';
import { createTask, findImage, pullImage, startCreated, startTask, stopTask, taskLog } from '../argv/task.ts';
import { readEngineAnswer } from '../domain/engine-answer.ts';
import { fail, UserError } from '../domain/errors.ts';
import { StampedLog } from '../domain/stamped-log.ts';
import type { Text } from '../domain/text.ts';
import {
  COULD_NOT_START,
  fitsOneLine,
  taskContainer,
  taskEnd,
  taskState,
  type TaskEnd,
  type TaskSpec,
  type Variable,
} from '../domain/task.ts';
import { isAway, steadily, type Machine } from '../effects/machine.ts';
import type { Connection, Stream } from '../effects/transport.ts';
import { findTaskContainer, QUESTION_LIMIT, requireEngineOn, type TaskContainer } from '../observe/tasks.ts';

/** Milliseconds to get an image, to make and start a container, and to go without any word from a host. */
const PULL_LIMIT = 60 * 60_000;
const START_LIMIT = 120_000;
const AWAY_LIMIT = 60_000;
/** Seconds from SIGTERM to SIGKILL. */
const GRACE = 10;
/** The longest that a timer can wait. */
const WITHOUT_LIMIT = 2 ** 31 - 1;
/** Milliseconds that a container may be there without being started. */
const CREATED_LIMIT = 15_000;

/** What happens while a task is on its way, for those who want to be told. */
export interface TaskFollower {
  /** A line of the pull. */
  readonly onPull?: (line: string) => void;
  /** The host went away; we go on trying. */
  readonly onLost?: (error: UserError) => void;
  /** What the task writes, byte for byte. */
  readonly onOutput?: (bytes: Uint8Array, stream: Stream) => void;
}

/**
 * Brings a task to a machine: its image first, then its container, which goes on by itself. One container for an id at most, whatever
 * breaks: the name is the engine's to give, once, and after a broken connection the engine is asked before anything else.
 *
 * @param signal gives up while the image is pulled; what is being started is started
 * @throws NOT_STARTED (exit 125) with the reason if there is no running container and will be none; what the connection throws if the
 *   machine stays away, where it may have begun
 */
export async function placeTask(
  machine: Machine,
  spec: TaskSpec,
  variables: readonly Variable[],
  signal: AbortSignal,
  follower: TaskFollower = {},
): Promise<void> {
  const steady = { limit: AWAY_LIMIT, ...(follower.onLost === undefined ? {} : { onLost: follower.onLost }) };
  await steadily(machine, { ...steady, signal }, (connection) =>
    ensureImage(connection, machine, spec.image, signal, follower),
  );
  let first = true;
  const found = await steadily(machine, steady, async (connection) => {
    const before = first ? null : await findTaskContainer(connection, machine, spec.id);
    first = false;
    if (before === null) return startContainer(connection, machine, spec, variables);
    // Made before the connection broke: only we start what came to be in two steps.
    const waits = before.mark === spec.mark && taskState(before.state) === 'created' && !variables.every(fitsOneLine);
    return waits ? startMade(connection, machine, spec) : before;
  });
  await confirmStart(machine, spec, found, steady);
}

async function ensureImage(
  connection: Connection,
  machine: Machine,
  image: string,
  signal: AbortSignal,
  { onPull }: TaskFollower,
): Promise<void> {
  const here = await connection.exec(findImage(image), { timeout: QUESTION_LIMIT });
  if (here.code === 0) return;
  await requireEngine(connection, machine, image);
  const pulled = await connection.exec(pullImage(image), {
    timeout: PULL_LIMIT,
    signal,
    ...(onPull === undefined ? {} : { onLine: onPull }),
  });
  if (pulled.code === 0) return;
  await requireEngine(connection, machine, image);
  throw notStarted(machine, { image }, { en: `${image} could not be pulled`, zh: `无法拉取 ${image}` }, pulled.stderr);
}

/** As long as nothing was started, an engine that does not answer is a reason not to start anything. */
async function requireEngine(connection: Connection, machine: Machine, image: string): Promise<void> {
  try {
    await requireEngineOn(connection, machine);
  } catch (error) {
    if (!(error instanceof UserError && error.code === 'ENGINE_MISSING')) throw error;
    throw notStarted(machine, { image }, error.text, error.details.evidence);
  }
}

/** Null means that it was said to be started. */
async function startContainer(
  connection: Connection,
  machine: Machine,
  spec: TaskSpec,
  variables: readonly Variable[],
): Promise<TaskContainer | null> {
  const refused = variables.every(fitsOneLine)
    ? await runTask(connection, spec, variables)
    : await makeTask(connection, machine, spec, variables);
  if (refused === null) return variables.every(fitsOneLine) ? null : startMade(connection, machine, spec);
  const found = await findTaskContainer(connection, machine, spec.id);
  if (found !== null) return found;
  throw notStarted(machine, spec, { en: 'Docker refused to make its container', zh: 'Docker 拒绝创建其容器' }, refused);
}

/** Null, or what docker said. */
async function runTask(connection: Connection, spec: TaskSpec, variables: readonly Variable[]): Promise<string | null> {
  const { argv, input } = startTask(spec, variables);
  const { code, stderr } = await connection.exec(argv, { input, timeout: START_LIMIT });
  return code === 0 ? null : stderr;
}

/** Null, or what the engine said. */
async function makeTask(
  connection: Connection,
  machine: Machine,
  spec: TaskSpec,
  variables: readonly Variable[],
): Promise<string | null> {
  const { argv, input } = createTask(spec, variables);
  const { stdout, stderr } = await connection.exec(argv, { input, holdInput: true, timeout: START_LIMIT });
  const answer = readEngineAnswer(stdout);
  if (answer === null) {
    await requireEngine(connection, machine, spec.image);
    return stderr;
  }
  return answer.status === 201 ? null : answer.message;
}

/** Null means that it was started. */
async function startMade(connection: Connection, machine: Machine, spec: TaskSpec): Promise<TaskContainer | null> {
  const { code } = await connection.exec(startCreated(spec.id), { timeout: START_LIMIT });
  if (code === 0) return null;
  const made = await findTaskContainer(connection, machine, spec.id);
  if (made !== null) return made;
  throw notStarted(machine, spec, { en: 'its container was removed', zh: '其容器已被删除' });
}

/** A container was there, or could not be started: whose is it, and does it run? */
async function confirmStart(
  machine: Machine,
  spec: TaskSpec,
  found: TaskContainer | null,
  options: { readonly limit: number },
): Promise<void> {
  const since = performance.now();
  for (let container = found; container !== null;) {
    if (container.mark !== spec.mark) {
      const name = taskContainer(spec.id);
      throw notStarted(machine, spec, {
        en: `there is a container ${name} that is not ours`,
        zh: `已有一个不属于本任务的容器 ${name}`,
      }).withHint({ en: 'choose another id: --id NAME', zh: '请换一个任务名称:--id 名称' });
    }
    const state = taskState(container.state);
    if (state !== 'failed' && state !== 'created') return;
    if (state === 'failed' || performance.now() - since > CREATED_LIMIT) {
      throw notStarted(
        machine,
        spec,
        { en: 'Docker could not start its container', zh: 'Docker 无法启动其容器' },
        container.state.error,
      );
    }
    // Somebody's docker may be about to start it: ours, on the other side of a broken connection.
    container = await steadily(machine, options, (connection) => findTaskContainer(connection, machine, spec.id));
  }
}

function notStarted({ name }: Machine, { image }: Pick<TaskSpec, 'image'>, reason: Text, told = ''): UserError {
  const evidence = told.trimEnd().split('\n').slice(-6).join('\n');
  return new UserError(
    'NOT_STARTED',
    {
      en: `the task could not be started on ${name}: ${reason.en}`,
      zh: `任务无法在 ${name} 上启动:${reason.zh}`,
    },
    {
      host: name,
      ...(evidence === '' ? {} : { evidence }),
      hint: {
        en: `try it there: docker pull ${image}; or run it elsewhere with --worker NAME`,
        zh: `可在该主机上尝试:docker pull ${image};或用 --worker 指定其他主机`,
      },
    },
  );
}

/** The end of a task, as its id cannot tell: it was removed before anybody asked. */
export function containerGone({ name }: Pick<Machine, 'name'>, id: string): UserError {
  return new UserError(
    'PRECONDITION',
    {
      en: `${name} has no container of task ${id} (any more)`,
      zh: `${name} 上没有任务 ${id} 的容器(或已被清理)`,
    },
    { host: name, hint: { en: 'xingrin task list', zh: 'xingrin task list' } },
  );
}

/**
 * Gives what a task writes, from its beginning, until it has ended: nothing missing and nothing twice, over as many connections as it takes.
 *
 * @param signal stops the listening, not the task
 * @throws PRECONDITION (6) if its container is gone; what the connection throws if the machine stays away; INTERRUPTED
 */
export async function followTask(
  machine: Machine,
  id: string,
  signal: AbortSignal,
  follower: TaskFollower,
): Promise<TaskEnd> {
  const logs = { stdout: new StampedLog(), stderr: new StampedLog() };
  const steady = { limit: AWAY_LIMIT, signal, ...(follower.onLost === undefined ? {} : { onLost: follower.onLost }) };
  for (;;) {
    const end = await steadily(machine, steady, (connection) => endOf(connection, machine, id));
    // Once it has ended, one more reading has it all.
    const read = (connection: Connection): Promise<number> =>
      readLog(connection, id, logs, { follow: end === null, signal }, follower);
    if (end !== null) {
      await steadily(machine, steady, read);
      return end;
    }
    try {
      // A log that cannot be read does not make the task end earlier.
      if ((await read(await machine.connect())) !== 0) await pause(1_000);
    } catch (error) {
      if (!isAway(error)) throw error;
      follower.onLost?.(error);
    }
  }
}

/** What a task has written so far; throws as {@link followTask}. */
export async function readTaskLog(machine: Machine, id: string, follower: TaskFollower): Promise<TaskEnd | null> {
  const logs = { stdout: new StampedLog(), stderr: new StampedLog() };
  return steadily(machine, { limit: AWAY_LIMIT }, async (connection) => {
    const end = await endOf(connection, machine, id);
    await readLog(connection, id, logs, { follow: false }, follower);
    return end;
  });
}

async function endOf(connection: Connection, machine: Machine, id: string): Promise<TaskEnd | null> {
  const container = await findTaskContainer(connection, machine, id);
  if (container === null) throw containerGone(machine, id);
  return taskEnd(container.state);
}

async function readLog(
  connection: Connection,
  id: string,
  logs: Record<Stream, StampedLog>,
  options: { readonly follow: boolean; readonly signal?: AbortSignal },
  { onOutput }: TaskFollower,
): Promise<number> {
  const [a, b] = [logs.stdout.position, logs.stderr.position];
  const since = a === null || b === null ? undefined : a.stamp < b.stamp ? a.stamp : b.stamp;
  for (const log of Object.values(logs)) log.restart();
  const argv = taskLog(taskContainer(id), { follow: options.follow, ...(since === undefined ? {} : { since }) });
  const { code } = await connection.exec(argv, {
    timeout: WITHOUT_LIMIT,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onOutput: (chunk, stream) => {
      for (const bytes of logs[stream].take(chunk)) onOutput?.(bytes, stream);
    },
  });
  return code;
}

/**
 * Ends a task: SIGTERM, after ten seconds SIGKILL. One that has ended is left as it is.
 *
 * @throws PRECONDITION (6) if it has no container; what the connection throws if the machine stays away
 */
export async function endTask(machine: Machine, id: string, onLost?: TaskFollower['onLost']): Promise<TaskEnd> {
  const steady = { limit: AWAY_LIMIT, ...(onLost === undefined ? {} : { onLost }) };
  return steadily(machine, steady, async (connection) => {
    const before = await endOf(connection, machine, id);
    if (before !== null) return before;
    const limit = GRACE * 1000 + QUESTION_LIMIT;
    const stopped = await connection.exec(stopTask(taskContainer(id), GRACE), { timeout: limit });
    const end = await endOf(connection, machine, id);
    if (end !== null) return end;
    return fail(
      'FAILED',
      { en: `task ${id} on ${machine.name} could not be stopped`, zh: `无法停止 ${machine.name} 上的任务 ${id}` },
      { host: machine.name, evidence: stopped.stderr.trimEnd() },
    );
  });
}

export const FAILED_START: TaskEnd = { code: COULD_NOT_START, at: null };

/** Whether a machine may have begun a task although it could not be told to, or did not say so. */
export function isUncertain(error: unknown): boolean {
  return error instanceof UserError && ['UNREACHABLE', 'TIMEOUT', 'ENGINE_MISSING'].includes(error.code);
}
