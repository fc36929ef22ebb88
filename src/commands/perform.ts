import { applyPlan, type ApplyResult } from '../apply/apply.ts';
import type { Executors } from '../apply/step.ts';
import { fail, UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { confirm } from '../effects/prompt.ts';
import type { Project } from '../observe/project.ts';
import type { Json, Plan, StepStatus } from '../plan/plan.ts';
import { displayFor } from '../ui/follow.ts';
import { headline, renderPlan } from '../ui/plan.ts';
import { runHook } from './hooks.ts';
import { exclusively, tellInterrupted } from './recover.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';

/** What goes on before a plan is shown, and before a command ends. */
export const LOOKING: Text = { en: 'looking at what is there', zh: '正在查看现状' };

/** What a command has found out and wants to do. */
export interface Proposal {
  readonly plan: Plan;
  readonly executors: Executors;
  /** Asked instead of the usual question. */
  readonly question?: Text;
  /** Reads the world again after the plan is true, and says so. */
  readonly report: (statuses: readonly StepStatus[]) => Promise<Report>;
}

/**
 * The way of every command that changes something: take the lock, recover, observe and plan (`propose`), show, ask, apply,
 * re-read, report. A dry run stops after "show" and takes no lock. An empty plan is success.
 */
export async function perform(
  session: Session,
  project: Project,
  command: string,
  propose: () => Promise<Proposal>,
): Promise<Report> {
  if (session.globals.dryRun) {
    await tellInterrupted(session, project);
    return dryReport(session, await session.terminal.waiting(LOOKING, propose));
  }
  return exclusively(session, project, command, async () => {
    const proposal = await session.terminal.waiting(LOOKING, propose);
    const { plan, executors } = proposal;
    if (plan.steps.length === 0) {
      session.terminal.say(nothingToDo(plan, session));
      return reported(proposal, [], session);
    }
    session.terminal.say(renderPlan(plan, session.terminal.language, session.paint, columnsOf(session)));
    await ask(session, proposal);
    await runHook(session, project, 'pre', plan);
    const display = displayFor(plan, session.terminal, session.paint);
    const result = await applyPlan(plan, executors, {
      folder: project.journal,
      process: session.process,
      now: session.now,
      signal: session.signal,
      follow: display.follow,
    });
    await display.close();
    if (result.outcome !== 'done')
      throw new ReportedFailure(failureOf(plan, result), planReport(plan, result.statuses, session));
    await runHook(session, project, 'post', plan);
    return reported(proposal, result.statuses, session);
  });
}

function dryReport(session: Session, { plan }: Proposal): Report {
  const { language } = session.terminal;
  const text =
    plan.steps.length === 0
      ? nothingToDo(plan, session)
      : renderPlan(plan, language, session.paint, columnsOf(session));
  const exitCode = plan.steps.length > 0 && session.globals.detailedExitcode ? 8 : 0;
  return { ...planReport(plan, [], session), text, exitCode };
}

export function nothingToDo(plan: Plan, { terminal }: Session): string {
  const nothing = terminal.text({ en: 'nothing to do', zh: '无需任何操作' });
  return `${headline(plan, terminal.language)}: ${nothing}`;
}

/** Throws CONFIRMATION_NEEDED (exit 2) where nobody can be asked, DECLINED (130) where the answer is no. */
export async function ask(session: Session, proposal: Pick<Proposal, 'plan' | 'question'>): Promise<void> {
  if (session.globals.yes) return;
  const { plan } = proposal;
  if (!session.terminal.interactive) {
    fail(
      'CONFIRMATION_NEEDED',
      { en: 'nobody can be asked here, and the plan changes something', zh: '当前无法询问确认,而该计划会产生变更' },
      {
        hint: {
          en: 'add --yes to go ahead, or --dry-run to only see the plan',
          zh: '加上 --yes 继续执行;或用 --dry-run 只看计划',
        },
      },
    );
  }
  const question = proposal.question ?? {
    en: `Go ahead with this ${plan.command}?`,
    zh: `执行以上 ${plan.command} 计划吗?`,
  };
  if (await confirm(session.terminal.text(question), session.terminal.language, session.signal)) return;
  fail('DECLINED', { en: 'nothing was changed', zh: '未做任何更改' });
}

/** The error of a failed apply, honest about what state it left. */
function failureOf(plan: Plan, result: Exclude<ApplyResult, { outcome: 'done' }>): UserError {
  const { error } = result;
  const known = error instanceof UserError ? error : unexpected(error);
  const { text: reason, details } = known;
  if (result.outcome === 'undone') {
    const began = result.statuses.some((status) => status === 'done' || status === 'undone');
    if (!began || plan.from === null) return new UserError(known.code, reason, details);
    return new UserError(
      known.code,
      { en: `${reason.en}; everything is back on ${plan.from}`, zh: `${reason.zh};一切已回到 ${plan.from}` },
      details,
    );
  }
  const undo = result.undoError;
  const undoText: Text = undo instanceof UserError ? undo.text : { en: String(undo), zh: String(undo) };
  return new UserError(
    'FAILED',
    undo === null
      ? {
          en: `${reason.en}; the rest of ${plan.command} is still to be finished`,
          zh: `${reason.zh};${plan.command} 剩余步骤尚未完成`,
        }
      : { en: `${reason.en}; and going back failed: ${undoText.en}`, zh: `${reason.zh};并且回退失败:${undoText.zh}` },
    {
      ...(undo instanceof UserError ? undo.details : details),
      hint: {
        en: 'remove the cause, then run: xingrin recover, which goes on where this one stopped',
        zh: '排除原因后执行 xingrin recover,它会从中断处继续',
      },
    },
  );
}

/** An error that no step foresaw: a bug of ours, shown with where it happened. */
function unexpected(error: unknown): UserError {
  const words = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? words) : words;
  return new UserError(
    'BUG',
    { en: `an error of xingrin itself: ${words}`, zh: `xingrin 自身的错误:${words}` },
    { evidence: stack, cause: error },
  );
}

function planReport(plan: Plan, statuses: readonly StepStatus[], session: Session): Report {
  const steps = plan.steps.map((step, index) => ({
    kind: step.kind,
    title: session.terminal.text(step.title),
    host: step.host,
    status: statuses[index] ?? 'pending',
  }));
  return { data: { from: plan.from, to: plan.to, commit: plan.commit, steps } };
}

/** What the command says afterwards, also where that is what went wrong, with the steps beside it. */
async function reported(
  { plan, report }: Proposal,
  statuses: readonly StepStatus[],
  session: Session,
): Promise<Report> {
  try {
    const told = await session.terminal.waiting(LOOKING, () => report(statuses));
    return withPlan(told, plan, statuses, session);
  } catch (error) {
    if (!(error instanceof ReportedFailure)) throw error;
    throw new ReportedFailure(error.error, withPlan(error.report, plan, statuses, session));
  }
}

function withPlan(report: Report, plan: Plan, statuses: readonly StepStatus[], session: Session): Report {
  const base: { readonly [key: string]: Json } = planReport(plan, statuses, session).data;
  return { ...report, data: { ...base, ...report.data } };
}

/** Lines are broken for somebody who reads them in a terminal, and for nobody else. */
function columnsOf({ terminal }: Session): number {
  return terminal.progress === 'tty' ? terminal.columns : Number.POSITIVE_INFINITY;
}
