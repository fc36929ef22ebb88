import { randomBytes } from 'node:crypto';
import { unattendedRing } from '../apply/host-access.ts';
import {
  recordOnLeastLoaded,
  recordTask,
  requireReach,
  updateRecord,
  type Placed,
  type Placement,
} from '../apply/task-records.ts';
import { FAILED_START, isUncertain, placeTask } from '../apply/tasks.ts';
import { fail, UserError } from '../domain/errors.ts';
import {
  checkVariables,
  newTaskId,
  newTaskRecord,
  parseTaskId,
  type TaskRecord,
  type Variable,
} from '../domain/task.ts';
import { openFleet } from '../effects/fleet.ts';
import type { HeldLock } from '../effects/file-lock.ts';
import type { Log } from '../effects/log.ts';
import type { Machine } from '../effects/machine.ts';
import { composeProjectName } from '../observe/stack.ts';
import type { Placing, Skipped } from '../observe/loads.ts';
import { machinesFor, machinesOf, taskImage, type Machines } from '../observe/machines.ts';
import type { Project } from '../observe/project.ts';
import { observeTask, observeTasks, readTaskRecord, readTaskRecords, type Task } from '../observe/tasks.ts';
import { refuse } from './refusal.ts';
import type { HeardLoad, TaskRequest, TaskRunner, TaskView } from './task-runner.ts';

/**
 * Runs tasks over SSH, with the project's own key, as `xingrin task run --detach` does: the same records, the same choice. Each request has
 * connections of its own. The main server takes tasks only where this process can reach its Docker.
 */
export function sshTasks(project: Project, log: Log): TaskRunner {
  const ring = unattendedRing(project);
  /** Requests choose one after the other. The image has no program that could lock out the command line as well: it sees our records. */
  let choosing: Promise<void> = Promise.resolve();
  async function turn(): Promise<HeldLock> {
    const before = choosing;
    let done = (): void => {};
    choosing = new Promise((resolve) => (done = resolve));
    await before;
    return { release: async () => done() };
  }

  async function withMachines<T>(work: (machines: Machines) => Promise<T>): Promise<T> {
    const fleet = openFleet(ring);
    try {
      return await work(await machinesOf(project, fleet));
    } catch (error) {
      return refuseFor(error);
    } finally {
      await fleet.close();
    }
  }

  function onSkipped({ machine, error }: Skipped): void {
    log.warn('worker skipped', { name: machine.name, reason: String(error) });
  }

  /** Ids of tasks that this process brings to a worker. */
  const launching = new Set<string>();

  /** Goes on when the request has been answered: to get an image may take longer than anybody waits for an answer. */
  async function launch(record: TaskRecord, variables: readonly Variable[]): Promise<void> {
    const { id, worker } = record;
    const fleet = openFleet(ring);
    try {
      const machine = (await machinesOf(project, fleet)).all.find((each) => each.id === worker.id);
      if (machine === undefined)
        fail('PRECONDITION', { en: `${worker.name} is no worker any longer`, zh: `${worker.name} 已不再是 worker` });
      await placeTask(machine, record, variables, new AbortController().signal, {});
      await updateRecord(project.state, record, { started: new Date().toISOString() });
      log.info('task started', { task: id, worker: worker.name, image: record.image });
    } catch (error) {
      log.warn('task failed to start', { task: id, worker: worker.name, reason: String(error) });
      if (!isUncertain(error)) await updateRecord(project.state, record, { end: FAILED_START });
    } finally {
      launching.delete(id);
      await fleet.close();
    }
  }

  function launchAlone(record: TaskRecord, variables: readonly Variable[]): void {
    launching.add(record.id);
    void launch(record, variables).catch((error: unknown) =>
      log.error('a task could not be written down', { task: record.id, error: String(error) }),
    );
  }

  /** What a server that died was about to start with variables that died with it: it has failed, unless it runs. */
  async function settle(record: TaskRecord, machine: Machine | undefined): Promise<void> {
    const { id, worker } = record;
    const { state } = await observeTask(record, machine);
    // A worker that is away may have it.
    if (state !== 'waiting') return;
    await updateRecord(project.state, record, { end: FAILED_START });
    log.warn('task failed to start', { task: id, worker: worker.name, reason: 'the server ended before it was sent' });
  }

  return {
    start(request, heard) {
      return withMachines(async (every) => {
        const variables = checkVariables(Object.entries(request.env ?? {}));
        const image = await taskImage(project);
        const composeProject = await composeProjectName(project);
        const id = newTaskId(new Date(), randomBytes(3).toString('hex'));
        const mark = randomBytes(8).toString('hex');
        const served = { again: variables.length === 0 };
        const recordFor = (machine: Machine): TaskRecord => ({
          ...newTaskRecord({ id, mark, project: composeProject, image, args: request.args }, machine, new Date()),
          served,
        });
        // It is ours before there is a record of it.
        launching.add(id);
        const choice = { recordFor, turn, onSkipped };
        const { record } = await place(project, machinesFor(every, image), request, heard, choice).catch(
          (error: unknown) => {
            launching.delete(id);
            throw error;
          },
        );
        launchAlone(record, variables);
        return viewOf({ ...record, state: 'waiting', since: record.sent });
      });
    },
    list: () =>
      withMachines(async ({ all }) => {
        const { tasks, silent } = await observeTasks(project.state, await composeProjectName(project), all);
        for (const { machine, error } of silent)
          log.warn('a worker did not tell its tasks', { name: machine.name, reason: String(error) });
        return tasks.map(viewOf);
      }),
    async resume() {
      const open = (await readTaskRecords(project.state)).filter(
        ({ id, started, end, served }) =>
          served !== undefined && started === null && end === null && !launching.has(id),
      );
      if (open.length === 0) return;
      await withMachines(async ({ all }) => {
        for (const record of open) {
          if (record.served?.again === true) launchAlone(record, []);
          else
            await settle(
              record,
              all.find((each) => each.id === record.worker.id),
            );
        }
      });
    },
    async find(id) {
      const record = isTaskId(id) ? await readTaskRecord(project.state, id) : null;
      if (record === null) return null;
      return withMachines(async ({ all }) => {
        const machine = all.find((each) => each.id === record.worker.id);
        return viewOf(await observeTask(record, machine));
      });
    },
  };
}

async function place(
  project: Project,
  machines: Machines,
  { worker }: TaskRequest,
  heard: readonly HeardLoad[],
  choice: Pick<Placement, 'recordFor' | 'turn' | 'onSkipped'>,
): Promise<Placed> {
  if (worker !== undefined) {
    const machine = machines.named(worker);
    await requireReach(machine);
    const record = choice.recordFor(machine);
    await recordTask(project.state, record);
    return { machine, record };
  }
  const byId = new Map(heard.map((each) => [each.id, each]));
  const placings = machines.all.map((machine): Placing => {
    const { load = null, measured = new Date(0) } = byId.get(machine.id) ?? {};
    return { machine, load, measured, answered: false };
  });
  const placed = await recordOnLeastLoaded({ ...choice, state: project.state, placings });
  return placed ?? refuse(503, 'UNAVAILABLE', 'no worker can take a task now');
}

function viewOf({ id, worker, state, end, since }: Pick<Task, 'id' | 'worker' | 'state' | 'end' | 'since'>): TaskView {
  const begun = state === 'running' || state === 'paused' || state === 'ended';
  return {
    id,
    worker: worker.name,
    status: state,
    exit_code: end?.code ?? null,
    started_at: begun ? new Date(since).toISOString() : null,
  };
}

function isTaskId(text: string): boolean {
  try {
    return parseTaskId(text) === text;
  } catch {
    return false;
  }
}

/** What went wrong, in the words of the command line. */
function refuseFor(error: unknown): never {
  if (!(error instanceof UserError)) throw error;
  const { code, text } = error;
  if (code === 'BAD_INPUT') return refuse(400, code, text.en, 'env');
  if (code === 'USAGE') return refuse(400, code, text.en, 'worker');
  if (code === 'PRECONDITION' || code === 'EXISTS') return refuse(409, code, text.en);
  return refuse(503, code, text.en);
}
