import { until as untilLimit } from '../src/effects/clock.ts';

/** Milliseconds. Only what never comes takes as long, also on a machine that is slow. */
const LIMIT = 300_000;

/** Waits for a fact, without a promise about how soon it comes: how soon is told by `bench/`. */
export function until(what: string, fact: () => boolean | Promise<boolean>): Promise<void> {
  return untilLimit(what, LIMIT, fact);
}
