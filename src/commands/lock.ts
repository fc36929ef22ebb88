import { Journal, unfinishedOperations } from '../apply/journal.ts';
import { lockHolder, withLock, type LockHolder } from '../apply/lock.ts';
import { openProject, type Project } from '../observe/project.ts';
import { makePlan } from '../plan/plan.ts';
import { ask } from './perform.ts';
import { holder, interruptedText } from './recover.ts';
import type { Report, Session } from './session.ts';

/**
 * Shows who is working on the project and what was interrupted. There is nothing to release: a dead owner's lock is free. With
 * `abandon`, an interrupted operation that can be neither finished nor undone any more is left as it is.
 */
export async function lockCommand(session: Session, options: { abandon?: boolean }): Promise<Report> {
  const project = await openProject(session.globals.project);
  if (options.abandon === true) return abandon(session, project);
  const owner = await lockHolder(project.state);
  const interrupted = owner === null ? await unfinishedOperations(project.journal) : [];
  for (const operation of interrupted) session.warn(interruptedText(operation, null));
  return {
    data: { holder: owner === null ? null : { ...owner }, interrupted: interrupted.map(({ id }) => id) },
    text: session.terminal.text(ownerText(owner)),
  };
}

async function abandon(session: Session, project: Project): Promise<Report> {
  return withLock(project.state, holder(session, 'lock'), async () => {
    const interrupted = await unfinishedOperations(project.journal);
    for (const operation of interrupted) session.warn(interruptedText(operation, 'abandon'));
    if (interrupted.length > 0 && !session.globals.dryRun) {
      const plan = makePlan({ command: 'lock --abandon', from: null, to: null, commit: null, steps: [] });
      const question = { en: 'Leave everything as it is now?', zh: '保持目前的状态吗?' };
      await ask(session, { plan, question });
      for (const operation of interrupted) {
        const journal = await Journal.resume(project.journal, operation, session.process);
        await journal.end('abandoned');
      }
    }
    const text =
      interrupted.length === 0
        ? { en: 'no operation was interrupted; nothing to do', zh: '没有被中断的操作,无需任何操作' }
        : { en: 'see what is true now with: xingrin status', zh: '查看当前状态:xingrin status' };
    return { data: { abandoned: interrupted.map(({ id }) => id) }, text: session.terminal.text(text) };
  });
}

function ownerText(owner: LockHolder | null): { en: string; zh: string } {
  if (owner === null) return { en: 'nobody is working on this project', zh: '当前没有正在进行的操作' };
  const { command, user, host, pid, since } = owner;
  return {
    en: `${command}, by ${user}@${host} (pid ${pid}) since ${since}`,
    zh: `${command},执行者 ${user}@${host}(进程 ${pid}),开始于 ${since}`,
  };
}
