import { fail } from '../domain/errors.ts';
import type { TaskRecord } from '../domain/task.ts';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { openFleet } from '../effects/fleet.ts';
import type { Machine } from '../effects/machine.ts';
import { machinesOf, type Machines } from '../observe/machines.ts';
import type { Project } from '../observe/project.ts';
import { readTaskRecord } from '../observe/tasks.ts';
import type { Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** Runs `work` with the ways to all machines, which are closed afterwards. */
export async function withMachines<T>(
  session: Session,
  project: Project,
  work: (machines: Machines) => Promise<T>,
): Promise<T> {
  const fleet = openFleet(keyRingOf(session, project));
  try {
    return await work(await machinesOf(project, fleet));
  } finally {
    await fleet.close();
  }
}

/** The record of a task and where it is. Throws USAGE (exit 2) if there is no such task. */
export async function findTask(
  project: Project,
  machines: Machines,
  id: string,
): Promise<{ record: TaskRecord; machine: Machine }> {
  const record = await readTaskRecord(project.state, id);
  if (record === null) {
    fail(
      'USAGE',
      { en: `there is no task ${id}`, zh: `没有任务 ${id}` },
      { hint: { en: 'xingrin task list', zh: 'xingrin task list' } },
    );
  }
  const { worker } = record;
  const machine = machines.all.find((each) => each.id === worker.id);
  if (machine !== undefined) return { record, machine };
  return fail(
    'PRECONDITION',
    {
      en: `task ${id} is on ${worker.name}, which is no worker any more`,
      zh: `任务 ${id} 在 ${worker.name} 上,而它已不是 worker`,
    },
    { hint: { en: 'xingrin worker list', zh: 'xingrin worker list' } },
  );
}

/** Why a machine is left out, in a line. */
export function whyNot(error: unknown): Text {
  if (!(error instanceof UserError)) throw error;
  return error.text;
}
