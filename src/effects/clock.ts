import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds between two looks at the fact. */
const STEP = 20;

/**
 * Looks again and again until something has become true.
 *
 * @param what the fact, in words that complete "waited ... seconds for"
 * @param limit milliseconds
 * @param fact asked at least once; what it throws ends the waiting
 * @throws an error naming the fact and the limit
 */
export async function until(what: string, limit: number, fact: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + limit;
  while (!(await fact())) {
    if (performance.now() > end) throw new Error(`waited ${limit / 1000} seconds for ${what}`);
    await pause(STEP);
  }
}
