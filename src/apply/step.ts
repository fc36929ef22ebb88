import type { Json, Step } from '../plan/plan.ts';

/** How far a step is: bytes or pieces, of how many if that is known, words for the rest. */
export interface Progress {
  readonly done?: number;
  readonly total?: number;
  readonly unit?: 'bytes' | 'count';
  /** What is happening now, in the words of the program that does it; shown dimmed. */
  readonly detail?: string;
}

export interface StepContext {
  /** Fires when the operator interrupts; never fires while undoing. */
  readonly signal: AbortSignal;
  readonly report: (progress: Progress) => void;
}

/** What came of a step. `failed`: on a host whose failure is told and keeps nobody else from going on. */
export type Outcome = 'done' | 'unchanged' | 'failed';

/**
 * How one kind of step happens and is taken back. `P` are its parameters (from the plan), `M` is what `undo` needs to know
 * and what only the world before the step can tell; it is in the journal before `apply` begins.
 */
export interface StepExecutor<P extends Json = Json, M extends Json = Json> {
  before?(params: P): Promise<M>;
  /** Makes the effect true; must be right also if it was half or wholly true already. */
  apply(params: P, context: StepContext, memo: M): Promise<Outcome>;
  /** Takes back what `apply` did, also if it did only a part or nothing. No undo: there is nothing to take back. */
  undo?(params: P, memo: M, context: StepContext): Promise<void>;
  /** From here on the operation is finished, not taken back, if it is interrupted. */
  readonly commits?: boolean;
  /**
   * For a step that commits: asks the world whether its effect came true, where it was begun and nobody saw it end. A push whose
   * sender was killed has either arrived or not; only the receiver knows.
   */
  reached?(params: P, memo: M): Promise<boolean>;
}

export type Executors = Readonly<Record<string, StepExecutor>>;

/** Ties an executor's types together; the journal gives both back as it was given them. */
export function executor<P extends Json, M extends Json = null>(definition: StepExecutor<P, M>): StepExecutor {
  return definition as unknown as StepExecutor;
}

export function executorOf(executors: Executors, step: Step): StepExecutor {
  const found = Object.hasOwn(executors, step.kind) ? executors[step.kind] : undefined;
  if (found === undefined) throw new Error(`no executor for step kind ${JSON.stringify(step.kind)}`);
  return found;
}
