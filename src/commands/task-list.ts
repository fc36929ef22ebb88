import { composeProjectName } from '../observe/stack.ts';
import { openProject } from '../observe/project.ts';
import { observeTasks } from '../observe/tasks.ts';
import { renderTasks, taskData } from '../ui/tasks.ts';
import { LOOKING } from './perform.ts';
import type { Report, Session } from './session.ts';
import { whyNot, withMachines } from './task-machines.ts';

/** Lists the tasks of all machines, running and ended. Exit 3 if some machine did not answer: then there may be more. */
export async function taskListCommand(session: Session): Promise<Report> {
  const { terminal } = session;
  const project = await openProject(session.globals.project);
  return withMachines(session, project, async ({ all }) => {
    const name = await composeProjectName(project);
    const { tasks, silent } = await terminal.waiting(LOOKING, () => observeTasks(project.state, name, all));
    for (const { machine, error } of silent) {
      const why = whyNot(error);
      session.warn({ en: `${machine.name} did not tell: ${why.en}`, zh: `${machine.name} 没有应答:${why.zh}` });
    }
    const none = terminal.text({ en: 'no tasks', zh: '没有任务' });
    return {
      exitCode: silent.length === 0 ? 0 : 3,
      data: {
        tasks: tasks.map(taskData),
        unreachable: silent.map(({ machine, error }) => ({
          id: machine.id,
          name: machine.name,
          reason: terminal.text(whyNot(error)),
        })),
      },
      text: tasks.length === 0 ? none : renderTasks(tasks, terminal.language, session.paint, terminal.columns),
    };
  });
}
