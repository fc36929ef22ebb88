import { join } from 'node:path';
import * as z from 'zod';
import { inspectTasks, listTasks } from '../argv/task.ts';
import { fail } from '../domain/errors.ts';
import {
  parseTaskRecord,
  stateWithoutContainer,
  taskContainer,
  taskEnd,
  taskState,
  type ContainerState,
  type TaskEnd,
  type TaskRecord,
  type TaskState,
  type TaskWorker,
} from '../domain/task.ts';
import { onEach } from '../effects/fleet.ts';
import { listFolder, readForeignText } from '../effects/files.ts';
import { isAway, type Machine } from '../effects/machine.ts';
import type { Connection } from '../effects/transport.ts';

/** Milliseconds for a question to an engine; it answers in milliseconds or is stuck. */
export const QUESTION_LIMIT = 30_000;

/** A task's container on its host. */
export interface TaskContainer {
  readonly task: string;
  readonly project: string;
  readonly mark: string;
  /** Docker's id of it. */
  readonly container: string;
  readonly image: string;
  readonly args: readonly string[];
  /** ISO 8601. */
  readonly created: string;
  readonly state: ContainerState;
}

const factsSchema = z.object({
  task: z.string(),
  project: z.string().nullish(),
  mark: z.string().nullish(),
  container: z.string(),
  image: z.string(),
  args: z.array(z.string()).nullish(),
  created: z.string(),
  state: z.object({
    Status: z.string(),
    ExitCode: z.int(),
    Error: z.string(),
    StartedAt: z.string(),
    FinishedAt: z.string(),
  }),
});

/**
 * A task's container; null if there is none on that host.
 *
 * @throws ENGINE_MISSING (exit 6) if Docker there does not answer, and what the connection throws
 */
export async function findTaskContainer(
  connection: Connection,
  machine: Pick<Machine, 'name'>,
  id: string,
): Promise<TaskContainer | null> {
  const result = await connection.exec(inspectTasks([taskContainer(id)]), { timeout: QUESTION_LIMIT });
  if (result.code === 0) return factsOf(result.stdout)[0] ?? null;
  await requireEngineOn(connection, machine);
  return null;
}

/** The containers of a project's tasks on a host. Throws as {@link findTaskContainer}. */
export async function taskContainers(
  connection: Connection,
  machine: Pick<Machine, 'name'>,
  project: string,
): Promise<TaskContainer[]> {
  const listed = await connection.exec(listTasks(project), { timeout: QUESTION_LIMIT });
  if (listed.code !== 0) await requireEngineOn(connection, machine);
  const ids = listed.stdout.split('\n').filter((id) => id !== '');
  if (ids.length === 0) return [];
  // One that went away in between makes the code 1; the others are still told.
  return factsOf((await connection.exec(inspectTasks(ids), { timeout: QUESTION_LIMIT })).stdout);
}

/** Throws ENGINE_MISSING (exit 6) naming the host unless Docker answers there. */
export async function requireEngineOn(connection: Connection, machine: Pick<Machine, 'name'>): Promise<void> {
  const argv = ['docker', 'version', '--format', '{{.Server.Version}}'];
  const result = await connection.exec(argv, { timeout: QUESTION_LIMIT });
  if (result.code !== 0) throw engineAway(machine, result.stderr);
}

function engineAway({ name }: Pick<Machine, 'name'>, told: string): never {
  return fail(
    'ENGINE_MISSING',
    { en: `Docker on ${name} does not answer`, zh: `${name} 上的 Docker 没有响应` },
    {
      host: name,
      evidence: told.trimEnd().split('\n').slice(-3).join('\n'),
      hint: { en: `look there: systemctl status docker`, zh: '请在该主机上查看:systemctl status docker' },
    },
  );
}

function factsOf(lines: string): TaskContainer[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { state, ...facts } = factsSchema.parse(JSON.parse(line));
      return {
        ...facts,
        project: facts.project ?? '',
        mark: facts.mark ?? '',
        args: facts.args ?? [],
        state: {
          status: state.Status,
          code: state.ExitCode,
          error: state.Error,
          startedAt: timeOrNull(state.StartedAt),
          finishedAt: timeOrNull(state.FinishedAt),
        },
      };
    });
}

/** The engine writes the year 1 for what has not happened. */
function timeOrNull(time: string): string | null {
  return time.startsWith('0001-') ? null : time;
}

/** Bytes of a record: a command line has at most 128 KiB a word, and the control plane writes here as well. */
const RECORD_LIMIT = 4 * 1024 * 1024;

/** Where the records of tasks are, below the project's state folder. */
export function recordsFolder(state: string): string {
  return join(state, 'tasks');
}

export function recordFile(state: string, id: string): string {
  return join(recordsFolder(state), `${id}.json`);
}

/** The record of a task; null if there is none. One that was damaged counts as none. */
export async function readTaskRecord(state: string, id: string): Promise<TaskRecord | null> {
  const text = await readForeignText(recordFile(state, id), RECORD_LIMIT);
  return text === null ? null : parseTaskRecord(text);
}

/** All records, oldest first as far as their ids tell. */
export async function readTaskRecords(state: string): Promise<TaskRecord[]> {
  const files = (await listFolder(recordsFolder(state))).filter((name) => /^[^.].*\.json$/.test(name));
  const records: TaskRecord[] = [];
  // A process may have only so many files open.
  for (let start = 0; start < files.length; start += SIDE_BY_SIDE) {
    const some = files.slice(start, start + SIDE_BY_SIDE).map((name) => name.slice(0, -'.json'.length));
    const read = await Promise.all(some.map((id) => readTaskRecord(state, id)));
    records.push(...read.filter((each) => each !== null));
  }
  return records;
}

/** How a task stands. */
export interface Task {
  readonly id: string;
  readonly worker: TaskWorker;
  readonly state: TaskState;
  readonly image: string;
  readonly args: readonly string[];
  /** ISO 8601: when it was started, or else sent. */
  readonly since: string;
  readonly end: TaskEnd | null;
}

export interface TaskList {
  readonly tasks: readonly Task[];
  /** Machines that did not answer, with the reason. */
  readonly silent: readonly { readonly machine: Machine; readonly error: unknown }[];
}

const SIDE_BY_SIDE = 32;

/** The tasks of a project: what its machines tell, and of those that do not answer what is written down. Oldest first. */
export async function observeTasks(state: string, project: string, machines: readonly Machine[]): Promise<TaskList> {
  const outcomes = await onEach(machines, SIDE_BY_SIDE, async (machine) =>
    taskContainers(await machine.connect(), machine, project),
  );
  const tasks = new Map<string, Task>();
  const silent = outcomes.flatMap((outcome) =>
    'error' in outcome ? [{ machine: outcome.host, error: outcome.error }] : [],
  );
  for (const outcome of outcomes) {
    if ('error' in outcome) continue;
    for (const container of outcome.value) tasks.set(container.task, taskOf(container, outcome.host));
  }
  const answered = new Set(outcomes.flatMap((each) => ('error' in each ? [] : [each.host.id])));
  for (const record of await readTaskRecords(state)) {
    if (tasks.has(record.id) || record.project !== project) continue;
    tasks.set(record.id, taskWithoutContainer(record, answered.has(record.worker.id)));
  }
  return {
    tasks: [...tasks.values()].toSorted((a, b) => (a.since < b.since ? -1 : a.since > b.since ? 1 : 0)),
    silent,
  };
}

/** How one task stands: asked of its machine, or as it is written down where that does not answer. */
export async function observeTask(record: TaskRecord, machine: Machine | undefined): Promise<Task> {
  if (machine === undefined) return taskWithoutContainer(record, false);
  try {
    const container = await findTaskContainer(await machine.connect(), machine, record.id);
    return container?.mark === record.mark ? taskOf(container, machine) : taskWithoutContainer(record, true);
  } catch (error) {
    if (!isAway(error)) throw error;
    return taskWithoutContainer(record, false);
  }
}

function taskOf(container: TaskContainer, { id, name }: TaskWorker): Task {
  return {
    id: container.task,
    worker: { id, name },
    state: taskState(container.state),
    image: container.image,
    args: container.args,
    since: container.state.startedAt ?? container.created,
    end: taskEnd(container.state),
  };
}

function taskWithoutContainer(record: TaskRecord, hostAnswered: boolean): Task {
  const { id, worker, image, args, sent, end } = record;
  const known = stateWithoutContainer(record);
  const state = hostAnswered || known === 'failed' ? known : end === null ? 'unknown' : 'ended';
  return { id, worker, state, image, args, since: sent, end };
}
