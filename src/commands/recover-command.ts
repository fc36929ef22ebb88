import { unfinishedOperations } from '../apply/journal.ts';
import { openProject } from '../observe/project.ts';
import { exclusively, tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';

/** Finishes or undoes what was interrupted, and does nothing else. A dry run says what that would be about. */
export async function recoverCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  const interrupted = await unfinishedOperations(project.journal);
  if (session.globals.dryRun) await tellInterrupted(session, project);
  else if (interrupted.length > 0) await exclusively(session, project, 'recover', async () => {});
  const text =
    interrupted.length === 0
      ? { en: 'no operation was interrupted; nothing to do', zh: '没有被中断的操作,无需任何操作' }
      : { en: 'see what is true now with: xingrin status', zh: '查看当前状态:xingrin status' };
  return { data: { interrupted: interrupted.map(({ id }) => id) }, text: session.terminal.text(text) };
}
