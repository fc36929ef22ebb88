import { recoverOperations, type Follower, type Recovery } from '../apply/apply.ts';
import { executorsFor } from '../apply/executors.ts';
import { unfinishedOperations, type Operation } from '../apply/journal.ts';
import { lockHolder, withLock, type LockHolder } from '../apply/lock.ts';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { endOrphans } from '../effects/orphans.ts';
import { whoAmI } from '../effects/identity.ts';
import { removeDeadStages } from '../effects/stage.ts';
import type { Project } from '../observe/project.ts';
import { exists, removeHalfWritten } from '../effects/files.ts';
import { displayFor, type Display } from '../ui/follow.ts';
import type { Session } from './session.ts';

/** Runs `work` as the only operation on the project, after whatever was interrupted before has been finished or undone. */
export async function exclusively<T>(
  session: Session,
  project: Project,
  command: string,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(project.state, holder(session, command), async () => {
    await recover(session, project);
    await tidyUp(project);
    return work();
  });
}

/**
 * For commands that only look: says what works on the project now, and what was interrupted. They recover nothing: what a journal asks
 * for is an effect, and only a command that is there to change something has effects.
 */
export async function tellInterrupted(session: Session, project: Project): Promise<void> {
  if (!(await exists(project.journal))) return;
  const unfinished = await unfinishedOperations(project.journal);
  if (unfinished.length === 0) return;
  const busy = await lockHolder(project.state);
  if (busy !== null) return warnOfBusy(session, busy);
  for (const operation of unfinished) session.warn(interruptedText(operation, null));
}

function warnOfBusy(session: Session, { command, user, host, since }: LockHolder): void {
  session.warn({
    en: `${command} is running now, by ${user}@${host} since ${since}`,
    zh: `${command} 正在进行,执行者 ${user}@${host},开始于 ${since}`,
  });
}

/** Removes what killed processes left: files before their renaming, staged projects. Some hold secrets. */
async function tidyUp(project: Project): Promise<void> {
  for (const folder of [project.composeDirectory, project.state, project.backups, project.keys])
    await removeHalfWritten(folder);
  await removeDeadStages(project.state);
}

async function recover(session: Session, project: Project): Promise<void> {
  const displays: Display[] = [];
  const recoveries = await recoverOperations({
    folder: project.journal,
    process: session.process,
    executors: executorsFor(project),
    endOrphans,
    onBegin: (operation, direction): Follower => {
      session.warn(interruptedText(operation, direction));
      const display = displayFor(operation.plan, { ...session.terminal, progress: calmer(session) }, session.paint);
      displays.push(display);
      return display.follow;
    },
  });
  for (const display of displays) await display.close();
  const stuck = recoveries.find((recovery) => recovery.outcome === 'stuck');
  if (stuck !== undefined) throw stuckError(stuck);
}

/** Recovery tells its few steps line by line, also where an apply would draw. */
function calmer(session: Session): Session['terminal']['progress'] {
  return session.terminal.progress === 'tty' ? 'plain' : session.terminal.progress;
}

/** What was interrupted, and what becomes of it now; null: that is for another command to do. */
export function interruptedText(operation: Operation, direction: 'finish' | 'undo' | 'abandon' | null): Text {
  const { plan, at } = operation;
  const what = plan.from === plan.to ? (plan.to ?? '') : `${plan.from ?? '∅'} → ${plan.to ?? '∅'}`;
  const last = Math.max(-1, ...operation.progress.keys());
  const step = plan.steps[last];
  const where = {
    en: step === undefined ? '' : ` at "${step.title.en}"`,
    zh: step === undefined ? '' : `,停在“${step.title.zh}”`,
  };
  const then = {
    finish: { en: '; finishing it', zh: ';正在完成它' },
    undo: { en: '; going back to where it began', zh: ';正在回到开始前的状态' },
    abandon: { en: '; it is left as it is', zh: ';保持现状' },
    none: {
      en: '; to finish or undo it: xingrin recover (so does every command that changes something)',
      zh: ';执行 xingrin recover 可完成或撤销它(任何会产生变更的命令也会这样做)',
    },
  }[direction ?? 'none'];
  return {
    en: `${plan.command} ${what} of ${at} was interrupted${where.en}${then.en}`,
    zh: `${at} 的 ${plan.command} ${what} 被中断${where.zh}${then.zh}`,
  };
}

function stuckError(recovery: Recovery): UserError {
  const { plan } = recovery.operation;
  const cause = recovery.error;
  const reason: Text = cause instanceof UserError ? cause.text : { en: String(cause), zh: String(cause) };
  return new UserError(
    'FAILED',
    {
      en: `the interrupted ${plan.command} could not be recovered: ${reason.en}`,
      zh: `被中断的 ${plan.command} 无法恢复:${reason.zh}`,
    },
    {
      ...(cause instanceof UserError ? cause.details : {}),
      hint: {
        en: 'remove the cause, then run: xingrin recover, which goes on where it stopped. To leave things as they are now: xingrin lock --abandon',
        zh: '排除原因后执行 xingrin recover,恢复会从中断处继续;若要保持现状:xingrin lock --abandon',
      },
      cause,
    },
  );
}

export function holder(session: Session, command: string): LockHolder {
  return { command: `xingrin ${command}`, ...whoAmI(), since: session.now().toISOString() };
}
