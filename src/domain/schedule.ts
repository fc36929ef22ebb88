/** How busy a worker said it is. As it came: nothing here has been checked. */
export interface Load {
  /** Percent of all its processors together. */
  readonly cpu: number;
  /** Percent. */
  readonly memory: number;
}

/** A worker that could take a task. */
export interface Candidate {
  readonly id: number;
  /** Null if it is not known. */
  readonly load: Load | null;
  /** Tasks that were sent there after the load was measured, so that it does not show them yet. */
  readonly sent: number;
}

const CPU_WEIGHT = 0.7;
const MEMORY_WEIGHT = 0.3;
/** Percent of either from which a worker gets a task only when there is no other. */
const FULL = 85;
/** What a task that was sent is reckoned to take, in percent of either, until the worker's own numbers tell. */
const SENT_SHARE = 10;

/** What is known of a task that was sent to a worker. */
export interface SentTask {
  readonly worker: { readonly id: number };
  /** ISO 8601. */
  readonly sent: string;
  /** ISO 8601; null if it was not started (yet). */
  readonly started: string | null;
  /** Null if it has not ended, as far as is known. */
  readonly end: object | null;
}

/** Milliseconds until a worker's own numbers show a task that was started there. */
const SHOWN_AFTER = 6_000;
/** Milliseconds after which nobody gets an image any more for a task that was not started. */
const FORGOTTEN_AFTER = 60 * 60_000;

/** How many of these tasks a worker's load does not show that was measured then. */
export function notYetShown(tasks: readonly SentTask[], workerId: number, measured: Date): number {
  return tasks.filter(({ worker, sent, started, end }) => {
    if (worker.id !== workerId || end !== null) return false;
    const since = started === null ? Date.parse(sent) + FORGOTTEN_AFTER : Date.parse(started) + SHOWN_AFTER;
    return since > measured.getTime();
  }).length;
}

/**
 * The least loaded worker: 0.7 of its processors and 0.3 of its memory, what was sent there already included. Workers of which either
 * is over 85 % come after all others, those without a sound load come last. Of equals the first in the list is taken.
 *
 * @returns null without candidates
 */
export function leastLoaded<C extends Candidate>(candidates: readonly C[]): C | null {
  const [best] = candidates.map((candidate) => ({ candidate, rank: rankOf(candidate) })).toSorted(byRank);
  return best?.candidate ?? null;
}

/** Percent, from 0; null for a load that cannot be: absent, negative, not a number. */
export function scoreOf({ load, sent }: Candidate): number | null {
  if (load === null || !isSound(load.cpu) || !isSound(load.memory)) return null;
  return CPU_WEIGHT * load.cpu + MEMORY_WEIGHT * load.memory + SENT_SHARE * sentOf(sent);
}

interface Rank {
  readonly group: 'free' | 'full' | 'unknown';
  readonly score: number;
}

const GROUPS: readonly Rank['group'][] = ['free', 'full', 'unknown'];

function rankOf(candidate: Candidate): Rank {
  const score = scoreOf(candidate);
  const { load, sent } = candidate;
  if (score === null || load === null) return { group: 'unknown', score: sentOf(sent) };
  const busiest = Math.max(load.cpu, load.memory) + SENT_SHARE * sentOf(sent);
  return { group: busiest > FULL ? 'full' : 'free', score };
}

function byRank(a: { rank: Rank }, b: { rank: Rank }): number {
  const group = GROUPS.indexOf(a.rank.group) - GROUPS.indexOf(b.rank.group);
  return group === 0 ? a.rank.score - b.rank.score : group;
}

function isSound(percent: number): boolean {
  return Number.isFinite(percent) && percent >= 0;
}

function sentOf(count: number): number {
  return Number.isFinite(count) && count > 0 ? count : 0;
}
