import { join } from 'node:path';
import { fail, UserError } from '../domain/errors.ts';
import { leastLoaded, notYetShown } from '../domain/schedule.ts';
import { formatTaskRecord, type TaskRecord } from '../domain/task.ts';
import { holdFileLock, type HeldLock } from '../effects/file-lock.ts';
import { createFileAtomic, makeFolder, writeFileAtomic } from '../effects/files.ts';
import type { Machine } from '../effects/machine.ts';
import type { Placing, Skipped } from '../observe/loads.ts';
import { readTaskRecords, recordFile, recordsFolder, requireEngineOn } from '../observe/tasks.ts';

/**
 * Writes down that a machine is about to get a task. From here on its id belongs to it.
 *
 * @throws EXISTS (exit 6) if there is a task of that id; DISK (6)
 */
export async function recordTask(state: string, record: TaskRecord): Promise<void> {
  await makeFolder(recordsFolder(state), 0o700);
  const made = await createFileAtomic(recordFile(state, record.id), formatTaskRecord(record), 0o600);
  if (made) return;
  fail(
    'EXISTS',
    { en: `there is a task ${record.id} already`, zh: `已存在任务 ${record.id}` },
    {
      hint: {
        en: `to see it: xingrin task logs ${record.id} -f; to run it again, choose another --id`,
        zh: `查看:xingrin task logs ${record.id} -f;如需再次运行,请换一个 --id`,
      },
    },
  );
}

/** What was found out about a task since it was recorded. */
export async function updateRecord(
  state: string,
  record: TaskRecord,
  news: Partial<Pick<TaskRecord, 'started' | 'end'>>,
): Promise<TaskRecord> {
  const now = { ...record, ...news };
  await writeFileAtomic(recordFile(state, record.id), formatTaskRecord(now), { mode: 0o600, replaceLink: true });
  return now;
}

/** A task and the machine that has it. */
export interface Placed {
  readonly machine: Machine;
  readonly record: TaskRecord;
}

export interface Placement {
  /** The project's state folder. */
  readonly state: string;
  readonly placings: readonly Placing[];
  readonly recordFor: (machine: Machine) => TaskRecord;
  /** Told of machines that would have been taken, but do not answer. */
  readonly onSkipped: (skipped: Skipped) => void;
  /** Waits for our turn to choose; null if others do not get done. Absent: among all that run on this machine. */
  readonly turn?: () => Promise<HeldLock | null>;
}

/**
 * Gives a task to the least loaded machine that answers, and writes that down. One chooser after the other: so each sees what the one
 * before has sent.
 *
 * @returns null if no machine can take it
 * @throws as {@link recordTask}; LOCKED (5) if others do not get done
 */
export async function recordOnLeastLoaded(placement: Placement): Promise<Placed | null> {
  const answered = new Set(placement.placings.filter((each) => each.answered).map(({ machine }) => machine));
  for (let { placings } = placement; ;) {
    const choice = await recordIfAnswered({ ...placement, placings }, answered);
    if (choice === null || 'record' in choice) return choice;
    const { machine } = choice;
    try {
      await requireEngineOn(await machine.connect(), machine);
      answered.add(machine);
    } catch (error) {
      placement.onSkipped({ machine, error });
      placings = placings.filter((each) => each.machine !== machine);
    }
  }
}

/** Seconds that others may take to choose. */
const CHOICE_LIMIT = 60;

/** Nobody else may choose meanwhile: whether a machine answers is found out elsewhere. */
async function recordIfAnswered(
  { state, placings, recordFor, turn }: Placement,
  answered: ReadonlySet<Machine>,
): Promise<Placed | { readonly machine: Machine } | null> {
  await makeFolder(recordsFolder(state), 0o700);
  const held = await (turn ?? (() => holdFileLock(join(state, 'tasks.lock'), CHOICE_LIMIT)))();
  if (held === null) {
    fail('LOCKED', { en: 'others have been placing tasks for a minute', zh: '其他任务仍在分配中,已等待一分钟' });
  }
  try {
    const machine = chooseMachine(placings, await readTaskRecords(state));
    if (machine === null || !answered.has(machine)) return machine === null ? null : { machine };
    const record = recordFor(machine);
    await recordTask(state, record);
    return { machine, record };
  } finally {
    await held.release();
  }
}

/** The least loaded, with what the records tell of tasks on their way; null without machines. */
export function chooseMachine(placings: readonly Placing[], records: readonly TaskRecord[]): Machine | null {
  const candidates = placings.map(({ machine, load, measured }) => {
    return { id: machine.id, machine, load, sent: notYetShown(records, machine.id, measured) };
  });
  return leastLoaded(candidates)?.machine ?? null;
}

/** A machine that was named must answer; that its Docker does not is found out when the task is to be started there. */
export async function requireReach(machine: Machine): Promise<void> {
  const connection = await machine.connect();
  await requireEngineOn(connection, machine).catch((error: unknown) => {
    if (!(error instanceof UserError && error.code === 'ENGINE_MISSING')) throw error;
  });
}
