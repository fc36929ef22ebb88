import { randomBytes } from 'node:crypto';
import {
  chooseMachine,
  recordOnLeastLoaded,
  recordTask,
  requireReach,
  updateRecord,
  type Placed,
} from '../apply/task-records.ts';
import { endTask, FAILED_START, followTask, isUncertain, placeTask, type TaskFollower } from '../apply/tasks.ts';
import { fail, UserError } from '../domain/errors.ts';
import {
  newTaskId,
  newTaskRecord,
  parseTaskId,
  parseVariables,
  type TaskEnd,
  type TaskRecord,
  type Variable,
} from '../domain/task.ts';
import type { Machine } from '../effects/machine.ts';
import { composeProjectName } from '../observe/stack.ts';
import { askLoads, type Placing, type Skipped } from '../observe/loads.ts';
import { heardPlacings } from '../observe/heard-workers.ts';
import { machinesFor, taskImage, type Machines } from '../observe/machines.ts';
import { openProject, type Project } from '../observe/project.ts';
import { readTaskRecords, type Task } from '../observe/tasks.ts';
import { taskData } from '../ui/tasks.ts';
import { tellInterrupted } from './recover.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';
import { whyNot, withMachines } from './task-machines.ts';
import { openOutput, type Output } from './task-output.ts';

export interface TaskRunOptions {
  readonly worker?: string;
  readonly env?: readonly string[];
  readonly detach?: boolean;
  readonly id?: string;
  readonly args: readonly string[];
}

/** Runs the task image on the least loaded worker or on a named one, and ends as the task ends. */
export async function taskRunCommand(session: Session, options: TaskRunOptions): Promise<Report> {
  const variables = parseVariables(options.env ?? [], process.env);
  const id =
    options.id === undefined ? newTaskId(session.now(), randomBytes(3).toString('hex')) : parseTaskId(options.id);
  const project = await openProject(session.globals.project);
  await tellInterrupted(session, project);
  const image = await taskImage(project);
  return withMachines(session, project, async (machines) => {
    const composeProject = await composeProjectName(project);
    const recordFor = (machine: Machine): TaskRecord => {
      const spec = { id, mark: randomBytes(8).toString('hex'), project: composeProject, image, args: options.args };
      return newTaskRecord(spec, machine, session.now());
    };
    const placed = await place(session, project, machinesFor(machines, image), options.worker, recordFor);
    if (session.globals.dryRun) return planned(session, placed.record);
    return run(session, project, placed, variables, options.detach === true);
  });
}

/** Finds a machine and writes down that it gets the task; in a dry run nothing is written. */
async function place(
  session: Session,
  project: Project,
  machines: Machines,
  wanted: string | undefined,
  recordFor: (machine: Machine) => TaskRecord,
): Promise<Placed> {
  const { dryRun } = session.globals;
  if (wanted !== undefined) {
    const machine = machines.named(wanted);
    await requireReach(machine);
    const record = recordFor(machine);
    if (!dryRun) await recordTask(project.state, record);
    return { machine, record };
  }
  const placings = await placingsOf(session, project, machines);
  const placed = dryRun
    ? wouldPlace(chooseMachine(placings, await readTaskRecords(project.state)), recordFor)
    : await recordOnLeastLoaded({
        state: project.state,
        placings,
        recordFor,
        onSkipped: (each) => skip(session, each),
      });
  if (placed !== null) return placed;
  return fail(
    'UNREACHABLE',
    { en: 'no worker can take a task now', zh: '目前没有可用的 worker' },
    { hint: { en: 'xingrin worker list; xingrin doctor', zh: 'xingrin worker list;xingrin doctor' } },
  );
}

/** How busy everybody is: as the control plane has heard it, or, where that does not answer, as each says itself. */
async function placingsOf(session: Session, project: Project, { all }: Machines): Promise<readonly Placing[]> {
  const { terminal, now } = session;
  if (all.length > 1) {
    const heard = await heardPlacings(project, all, terminal.language);
    if (heard !== null) return heard;
    terminal.say(terminal.text(ASKED));
  }
  const { placings, skipped } = await askLoads(all, now);
  for (const each of skipped) skip(session, each);
  return placings;
}

function wouldPlace(machine: Machine | null, recordFor: (machine: Machine) => TaskRecord): Placed | null {
  return machine === null ? null : { machine, record: recordFor(machine) };
}

const ASKED = {
  en: 'the control plane does not answer: asking every worker itself how busy it is',
  zh: '控制面没有响应:正在逐台询问各 worker 的负载',
};

function skip(session: Session, { machine, error }: Skipped): void {
  const why = whyNot(error);
  session.warn({ en: `${machine.name} is skipped: ${why.en}`, zh: `已跳过 ${machine.name}:${why.zh}` });
}

function planned(session: Session, record: TaskRecord): Report {
  const { worker, image } = record;
  return {
    data: { ...taskData(taskOf(record, 'waiting', null)), steps: [] },
    text: session.terminal.text({
      en: `would run ${image} on ${worker.name}`,
      zh: `将在 ${worker.name} 上运行 ${image}`,
    }),
    ...(session.globals.detailedExitcode ? { exitCode: 8 } : {}),
  };
}

async function run(
  session: Session,
  project: Project,
  { machine, record: sent }: Placed,
  variables: readonly Variable[],
  detach: boolean,
): Promise<Report> {
  const { terminal, globals, signal } = session;
  let record = sent;
  const output = openOutput(globals.json ? null : terminal);
  const follower: TaskFollower = {
    onPull: (line) => terminal.verbose && terminal.say(line),
    onLost: (error) => lost(session, machine, error),
    onOutput: output.take,
  };
  try {
    await placeTask(machine, record, variables, signal, follower);
  } catch (error) {
    // Where nobody answers it may have begun all the same.
    const unsure = isUncertain(error);
    if (!unsure) await update(session, project, record, { end: FAILED_START });
    const why = signal.aborted ? stoppedError(record.id) : unsure ? mayRun(error, machine, record.id) : error;
    const task = unsure ? taskOf(record, 'unknown', null) : taskOf(record, 'failed', FAILED_START);
    throw new ReportedFailure(why, { data: { ...taskData(task) } });
  }
  record = await update(session, project, record, { started: session.now().toISOString() });
  terminal.say(
    terminal.text({
      en: `task ${record.id} runs on ${machine.name} (${lastPart(record.image)})`,
      zh: `任务 ${record.id} 已在 ${machine.name} 上运行(${lastPart(record.image)})`,
    }),
  );
  if (detach) return { data: { ...taskData(taskOf(record, 'running', null)) }, text: record.id };
  return attend(session, project, machine, record, output, follower);
}

/** Listens until the task has ended. Ctrl-C ends the task; what it writes to the very end is still heard. */
async function attend(
  session: Session,
  project: Project,
  machine: Machine,
  record: TaskRecord,
  output: Output,
  follower: TaskFollower,
): Promise<Report> {
  const { signal } = session;
  const deaf = new AbortController();
  let stopping: Promise<unknown> | undefined;
  const stop = (): void => {
    // Whoever cannot stop it has nothing more to hear either.
    stopping = endTask(machine, record.id).catch((error: unknown) => {
      deaf.abort();
      throw error;
    });
    stopping.catch(() => {});
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  let end: TaskEnd;
  try {
    end = await followTask(machine, record.id, deaf.signal, follower);
  } catch (error) {
    await stopping;
    throw new ReportedFailure(goesOn(error, machine, record.id), {
      data: { ...taskData(taskOf(record, 'unknown', null)), ...output.data() },
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  await update(session, project, record, { end });
  const report: Report = { exitCode: end.code, data: { ...taskData(taskOf(record, 'ended', end)), ...output.data() } };
  if (signal.aborted) throw new ReportedFailure(stoppedError(record.id), report);
  return report;
}

function stoppedError(id: string): UserError {
  return new UserError('INTERRUPTED', { en: `task ${id} was stopped`, zh: `任务 ${id} 已停止` });
}

/** What cannot be written down must not hide that it happened: the record can wait. */
async function update(
  session: Session,
  project: Project,
  record: TaskRecord,
  news: Partial<Pick<TaskRecord, 'started' | 'end'>>,
): Promise<TaskRecord> {
  try {
    return await updateRecord(project.state, record, news);
  } catch (error) {
    session.warn(whyNot(error));
    return { ...record, ...news };
  }
}

function lost(session: Session, machine: Machine, error: UserError): void {
  session.warn({
    en: `lost ${machine.name}, trying again; the task goes on there (${error.text.en})`,
    zh: `与 ${machine.name} 的联系中断,正在重试;任务在那边继续运行(${error.text.zh})`,
  });
}

function goesOn(error: unknown, machine: Machine, id: string): unknown {
  if (!(error instanceof UserError) || error.details.hint === undefined || error.code === 'PRECONDITION') return error;
  return error.withHint({
    en: `the task goes on on ${machine.name}; to listen again: xingrin task logs ${id} -f`,
    zh: `任务仍在 ${machine.name} 上;重新查看:xingrin task logs ${id} -f`,
  });
}

function mayRun(error: unknown, machine: Machine, id: string): unknown {
  if (!(error instanceof UserError)) return error;
  return error.withHint({
    en: `whether it has begun on ${machine.name} is unknown; when that answers again: xingrin task logs ${id}`,
    zh: `尚不清楚任务是否已在 ${machine.name} 上开始;待其恢复后查看:xingrin task logs ${id}`,
  });
}

function taskOf(record: TaskRecord, state: Task['state'], end: TaskEnd | null): Task {
  const { id, worker, image, args, sent } = record;
  return { id, worker, state, image, args, since: sent, end };
}

/** An image without where it comes from. */
function lastPart(image: string): string {
  return image.slice(image.lastIndexOf('/') + 1);
}
