import type { Text } from '../domain/text.ts';

/** What may stand in a plan: it is printed, written to the journal, and read again by another process. Never a secret. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** One effect, as data. `kind` names the executor that applies and undoes it. */
export interface Step {
  readonly kind: string;
  readonly title: Text;
  /** Where it happens; `main` for the main server or the machine at hand. */
  readonly host: string;
  readonly params: Json;
  /** What is true again once it is undone; absent where undoing it shows nothing. */
  readonly undone?: Text;
  /** Neighbouring steps with the same wave happen side by side, under this title. */
  readonly wave?: Text;
}

/** Ordered steps from one version to another, decided before anything is changed. */
export interface Plan {
  readonly schema: 'xingrin-plan/v1';
  readonly command: string;
  readonly from: string | null;
  readonly to: string | null;
  /** The git commit that the project's files will be at, or that the release consists of. */
  readonly commit: string | null;
  readonly steps: readonly Step[];
}

export type StepStatus = 'pending' | 'done' | 'unchanged' | 'failed' | 'undone';

export const MAIN_HOST = 'main';

/** The plan's steps (by number) in the order in which they happen: one at a time, or a whole wave together. */
export function wavesOf(plan: Plan): number[][] {
  const waves: number[][] = [];
  for (const [index, step] of plan.steps.entries()) {
    const last = waves.at(-1);
    const neighbour = last?.[0] === undefined ? undefined : plan.steps[last[0]];
    if (last !== undefined && step.wave !== undefined && neighbour?.wave?.en === step.wave.en) last.push(index);
    else waves.push([index]);
  }
  return waves;
}

export function makePlan(fields: Omit<Plan, 'schema'>): Plan {
  return { schema: 'xingrin-plan/v1', ...fields };
}
