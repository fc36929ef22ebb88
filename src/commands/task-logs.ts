import { followTask, readTaskLog } from '../apply/tasks.ts';
import { updateRecord } from '../apply/task-records.ts';
import { parseTaskId } from '../domain/task.ts';
import { openProject } from '../observe/project.ts';
import { observeTask } from '../observe/tasks.ts';
import { taskData } from '../ui/tasks.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';
import { findTask, withMachines } from './task-machines.ts';
import { openOutput } from './task-output.ts';

/** Gives what a task wrote, each stream to the stream of that name; with `follow` until it has ended. Ctrl-C stops only the listening. */
export async function taskLogsCommand(
  session: Session,
  options: { readonly id: string; readonly follow?: boolean },
): Promise<Report> {
  const id = parseTaskId(options.id);
  const project = await openProject(session.globals.project);
  return withMachines(session, project, async (machines) => {
    const { record, machine } = await findTask(project, machines, id);
    const output = openOutput(session.globals.json ? null : session.terminal);
    const follower = {
      onOutput: output.take,
      onLost: () => {
        session.warn({
          en: `lost ${machine.name}, trying again`,
          zh: `与 ${machine.name} 的联系中断,正在重试`,
        });
      },
    };
    try {
      const end =
        options.follow === true
          ? await followTask(machine, id, session.signal, follower)
          : await readTaskLog(machine, id, follower);
      if (end !== null && record.end === null) await updateRecord(project.state, record, { end });
    } catch (error) {
      throw new ReportedFailure(error, { data: { id, ...output.data() } });
    }
    return { data: { ...taskData(await observeTask(record, machine)), ...output.data() } };
  });
}
