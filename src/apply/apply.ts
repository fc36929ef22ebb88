import { interruption } from '../domain/errors.ts';
import { wavesOf, type Json, type Plan, type Step, type StepStatus } from '../plan/plan.ts';
import { Journal, unfinishedOperations, type Operation } from './journal.ts';
import { executorOf, type Executors, type Outcome, type Progress, type StepContext } from './step.ts';

/** What a follower of an apply hears, in order. `undoing` opens the way back. */
export type ApplyEvent =
  | { readonly type: 'started' | 'undoing'; readonly step: number }
  | { readonly type: 'progress'; readonly step: number; readonly progress: Progress }
  | {
      readonly type: 'done';
      readonly step: number;
      readonly outcome: Outcome;
      /** What came of it, in a few words. */
      readonly note?: string;
    }
  | { readonly type: 'failed'; readonly step: number; readonly error: unknown }
  | { readonly type: 'undone'; readonly step: number }
  | { readonly type: 'undo-failed'; readonly step: number; readonly error: unknown };

export type Follower = (event: ApplyEvent) => void;

export interface ApplyOptions {
  /** The project's journal folder. */
  readonly folder: string;
  /** The mark in this process's environment, and so in that of its children. */
  readonly process: string;
  readonly now: () => Date;
  readonly signal: AbortSignal;
  readonly follow: Follower;
}

/**
 * What became of a plan. `undone` carries the error that began the way back; `stuck` also the one that ended it, or null if the
 * point of no return had been passed.
 */
export type ApplyResult = { readonly statuses: readonly StepStatus[]; readonly operation: string } & (
  | { readonly outcome: 'done' }
  | { readonly outcome: 'undone'; readonly error: unknown }
  | { readonly outcome: 'stuck'; readonly error: unknown; readonly undoError: unknown }
);

/**
 * Applies a plan wave by wave, journaled before and after each effect. If a step fails or the operator interrupts, everything
 * begun is undone in reverse. Must be called under the project's lock. Throws only for bugs.
 */
export async function applyPlan(plan: Plan, executors: Executors, options: ApplyOptions): Promise<ApplyResult> {
  const journal = await Journal.begin(options.folder, plan, options.process, options.now());
  const statuses: StepStatus[] = plan.steps.map(() => 'pending');
  const begun = new Map<number, { status: StepStatus; memo: Json }>();
  const report = { statuses, operation: journal.id };
  let committed = false;

  async function applyStep(index: number, step: Step, signal: AbortSignal): Promise<void> {
    const executor = executorOf(executors, step);
    try {
      const memo = (await executor.before?.(step.params)) ?? null;
      begun.set(index, { status: 'pending', memo });
      await journal.start(index, memo);
      options.follow({ type: 'started', step: index });
      const outcome = await executor.apply(step.params, contextOf(index, signal, options.follow), memo);
      await journal.done(index, settled(outcome));
      statuses[index] = outcome;
      options.follow({ type: 'done', step: index, outcome });
      committed ||= executor.commits === true;
    } catch (error) {
      statuses[index] = 'failed';
      options.follow({ type: 'failed', step: index, error });
      await journal.failed(index, messageOf(error));
      throw error;
    }
  }

  /** All steps of a wave have ended, one way or the other, when this does; the first failure stops the others. */
  async function applyWave(wave: readonly number[]): Promise<void> {
    const stop = new AbortController();
    const signals = committed ? [stop.signal] : [stop.signal, options.signal];
    const failures: unknown[] = [];
    await Promise.all(
      wave.map(async (index) => {
        try {
          await applyStep(index, plan.steps[index] as Step, AbortSignal.any(signals));
        } catch (error) {
          failures.push(error);
          stop.abort();
        }
      }),
    );
    if (failures.length > 0) throw failures[0];
  }

  try {
    for (const wave of wavesOf(plan)) {
      if (!committed && options.signal.aborted) throw interruption(options.signal);
      await applyWave(wave);
    }
  } catch (thrown) {
    const error = options.signal.aborted && !committed ? interruption(options.signal) : thrown;
    try {
      committed ||= await isPastReturn(plan, begun, executors);
    } catch (undoError) {
      return { outcome: 'stuck', error, undoError, ...report };
    }
    // Past the point of no return there is no way back: the next run finishes what is left.
    if (committed) return { outcome: 'stuck', error, undoError: null, ...report };
    const undoError = await undo(plan, executors, begun, journal, options.follow, statuses);
    if (undoError !== null) return { outcome: 'stuck', error, undoError, ...report };
    const unsaid = await ended(journal, 'undone');
    return unsaid === null
      ? { outcome: 'undone', error, ...report }
      : { outcome: 'stuck', error, undoError: unsaid, ...report };
  }
  const unsaid = await ended(journal, 'done');
  return unsaid === null
    ? { outcome: 'done', ...report }
    : { outcome: 'stuck', error: unsaid, undoError: null, ...report };
}

/** Says that the operation is over. Where the disk does not take that any more, the next run finds nothing left to do but this. */
async function ended(journal: Journal, outcome: 'done' | 'undone'): Promise<unknown | null> {
  try {
    await journal.end(outcome);
    return null;
  } catch (error) {
    return error;
  }
}

/** What recovery did with an interrupted operation. */
export interface Recovery {
  readonly operation: Operation;
  readonly outcome: 'done' | 'undone' | 'stuck';
  readonly error?: unknown;
}

export interface RecoverOptions {
  readonly folder: string;
  readonly process: string;
  readonly executors: Executors;
  /** Ends the children that dead processes with this mark left running, so that nobody works against the recovery. */
  readonly endOrphans: (process: string) => Promise<void>;
  readonly onBegin: (operation: Operation, direction: 'finish' | 'undo') => Follower;
}

/**
 * Brings every operation that was killed to one of its two ends: forward if it had passed its point of no return, else back.
 * Must be called under the project's lock, which proves that the owner is dead.
 */
export async function recoverOperations(options: RecoverOptions): Promise<Recovery[]> {
  const recoveries: Recovery[] = [];
  for (const operation of (await unfinishedOperations(options.folder)).reverse()) {
    for (const mark of operation.processes) await options.endOrphans(mark);
    const forward = await isPastReturn(operation.plan, operation.progress, options.executors).catch(
      (error: unknown) => {
        recoveries.push({ operation, outcome: 'stuck', error });
        return null;
      },
    );
    if (forward === null) continue;
    const follow = options.onBegin(operation, forward ? 'finish' : 'undo');
    const journal = await Journal.resume(options.folder, operation, options.process);
    const error = forward
      ? await finish(operation, options.executors, journal, follow)
      : await undo(operation.plan, options.executors, operation.progress, journal, follow, []);
    const outcome = forward ? 'done' : 'undone';
    const failed = error ?? (await ended(journal, outcome));
    if (failed !== null) {
      recoveries.push({ operation, outcome: 'stuck', error: failed });
      continue;
    }
    recoveries.push({ operation, outcome });
  }
  return recoveries;
}

/** Whether a step that commits has come true, as the journal knows or the world tells. */
async function isPastReturn(plan: Plan, progress: Operation['progress'], executors: Executors): Promise<boolean> {
  for (const [index, step] of plan.steps.entries()) {
    const executor = executorOf(executors, step);
    const begun = progress.get(index);
    if (executor.commits !== true || begun === undefined) continue;
    if (isApplied(begun.status)) return true;
    if (begun.status !== 'undone' && (await executor.reached?.(step.params, begun.memo)) === true) return true;
  }
  return false;
}

async function finish(
  operation: Operation,
  executors: Executors,
  journal: Journal,
  follow: Follower,
): Promise<unknown | null> {
  for (const [index, step] of operation.plan.steps.entries()) {
    if (isApplied(operation.progress.get(index)?.status)) continue;
    const executor = executorOf(executors, step);
    try {
      const memo = operation.progress.get(index)?.memo ?? (await executor.before?.(step.params)) ?? null;
      await journal.start(index, memo);
      follow({ type: 'started', step: index });
      const outcome = await executor.apply(step.params, contextOf(index, neverAborted(), follow), memo);
      await journal.done(index, settled(outcome));
      follow({ type: 'done', step: index, outcome });
    } catch (error) {
      follow({ type: 'failed', step: index, error });
      return error;
    }
  }
  return null;
}

/**
 * Undoes all begun steps, last first. Goes on after a failing undo, so that as much as possible is right; returns the first error.
 * What comes after a failing undo may have been built on what that left (services come back as docker/.env says): it counts as
 * undone only when a later recovery has done all of it.
 */
async function undo(
  plan: Plan,
  executors: Executors,
  progress: Operation['progress'],
  journal: Journal,
  follow: Follower,
  statuses: StepStatus[],
): Promise<unknown | null> {
  let firstError: unknown = null;
  for (const [index, step] of [...plan.steps.entries()].reverse()) {
    const begun = progress.get(index);
    if (begun === undefined || begun.status === 'undone') continue;
    const executor = executorOf(executors, step);
    try {
      if (executor.undo !== undefined) {
        follow({ type: 'undoing', step: index });
        await executor.undo(step.params, begun.memo, contextOf(index, neverAborted(), follow));
        if (statuses[index] !== 'failed') statuses[index] = 'undone';
        follow({ type: 'undone', step: index });
      }
      if (firstError === null) await journal.undone(index);
    } catch (error) {
      firstError ??= error;
      follow({ type: 'undo-failed', step: index, error });
    }
  }
  return firstError;
}

/** A host that failed by itself is not tried again by whoever finishes an interrupted operation. */
function settled(outcome: Outcome): 'done' | 'unchanged' {
  return outcome === 'done' ? 'done' : 'unchanged';
}

function isApplied(status: StepStatus | undefined): boolean {
  return status === 'done' || status === 'unchanged';
}

function contextOf(step: number, signal: AbortSignal, follow: Follower): StepContext {
  return { signal, report: (progress) => follow({ type: 'progress', step, progress }) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
