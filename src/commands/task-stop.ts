import { endTask } from '../apply/tasks.ts';
import { updateRecord } from '../apply/task-records.ts';
import { parseTaskId } from '../domain/task.ts';
import { openProject } from '../observe/project.ts';
import { observeTask } from '../observe/tasks.ts';
import { taskData } from '../ui/tasks.ts';
import type { Report, Session } from './session.ts';
import { findTask, withMachines } from './task-machines.ts';

/** Ends a task; one that has ended already is left as it is, and said so. */
export async function taskStopCommand(session: Session, options: { readonly id: string }): Promise<Report> {
  const { terminal } = session;
  const id = parseTaskId(options.id);
  const project = await openProject(session.globals.project);
  return withMachines(session, project, async (machines) => {
    const { record, machine } = await findTask(project, machines, id);
    const before = await observeTask(record, machine);
    if (session.globals.dryRun) {
      const would = { en: `would stop task ${id} on ${machine.name}`, zh: `将停止 ${machine.name} 上的任务 ${id}` };
      return { data: { ...taskData(before) }, text: terminal.text(before.end === null ? would : already(id)) };
    }
    if (before.state === 'failed') return { data: { ...taskData(before) }, text: terminal.text(already(id)) };
    const end = await endTask(machine, id);
    if (record.end === null) await updateRecord(project.state, record, { end });
    const stopped = {
      en: `task ${id} on ${machine.name} was stopped (exit code ${end.code})`,
      zh: `已停止 ${machine.name} 上的任务 ${id}(退出码 ${end.code})`,
    };
    return {
      data: { ...taskData({ ...before, state: 'ended', end }) },
      text: terminal.text(before.end === null ? stopped : already(id)),
    };
  });
}

function already(id: string) {
  return { en: `task ${id} has ended already`, zh: `任务 ${id} 已经结束` };
}
