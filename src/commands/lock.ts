import { lockHolder } from '../apply/lock.ts';
import { openProject } from '../observe/project.ts';
import type { Report, Session } from './session.ts';

/** Shows who is working on the project. There is nothing to release: a dead owner's lock is free. */
export async function lockCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  const holder = await lockHolder(project.state);
  const text =
    holder === null
      ? { en: 'nobody is working on this project', zh: '当前没有正在进行的操作' }
      : {
          en: `${holder.command}, by ${holder.user}@${holder.host} (pid ${holder.pid}) since ${holder.since}`,
          zh: `${holder.command},执行者 ${holder.user}@${holder.host}(进程 ${holder.pid}),开始于 ${holder.since}`,
        };
  return { data: { holder: holder === null ? null : { ...holder } }, text: session.terminal.text(text) };
}
