import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { UserError } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { same, type Text } from '../domain/text.ts';
import type { AgentUpdater } from './agent-updater.ts';
import { LOCK_SECONDS, StoreAway, type Beat, type Store } from './store.ts';

/** Milliseconds for the first heartbeat of an agent whose health was seen over there already. */
const BEAT_LIMIT = 20_000;
const BEAT_PAUSE = 200;

/**
 * How an update of an agent ended. `busy`: somebody else is at it, or nobody could say. `left`: we are ending, or lost the lock; whoever
 * has it next goes on.
 */
export type Followed = { readonly end: 'done' | 'busy' | 'left' } | { readonly end: 'failed'; readonly reason: Text };

export interface Following {
  readonly store: Store;
  readonly updater: AgentUpdater;
  /** Fires when this server ends. */
  readonly closing: AbortSignal;
  /** Called when the lock is ours and the work begins. */
  readonly begun: () => void;
  /** The last heartbeat of that worker. */
  readonly heard: () => Beat | null;
}

/**
 * Brings a worker's agent to a version, if nobody else is at it. The lock is held until its heartbeat tells that version; after a
 * failure it is kept until it runs out, so that nobody tries the same again at once.
 */
export async function follow(worker: Worker, version: string, following: Following): Promise<Followed> {
  const { store, closing, begun } = following;
  const owner = randomUUID();
  try {
    if (!(await store.lock(worker.id, owner))) return { end: 'busy' };
  } catch (error) {
    // Without an answer there is no lock, and without a lock no update.
    if (error instanceof StoreAway) return { end: 'busy' };
    throw error;
  }
  begun();
  const lost = new AbortController();
  const every = (LOCK_SECONDS * 1_000) / 3;
  let renewed = performance.now();
  const renewal = setInterval(() => {
    const asked = performance.now();
    store.renew(worker.id, owner).then(
      (ours) => {
        if (ours) renewed = asked;
        else lost.abort();
      },
      () => {
        // Before the next question somebody else could have it.
        if (performance.now() - renewed + every >= LOCK_SECONDS * 1_000) lost.abort();
      },
    );
  }, every).unref();
  try {
    const signal = AbortSignal.any([closing, lost.signal]);
    const { followed, free } = await underLock(worker, version, following, signal);
    if (free) await store.unlock(worker.id, owner).catch(() => {});
    return followed;
  } finally {
    clearInterval(renewal);
  }
}

interface Ended {
  readonly followed: Followed;
  /** Whether the next one may begin at once. */
  readonly free: boolean;
}

async function underLock(
  worker: Worker,
  version: string,
  { updater, heard }: Following,
  signal: AbortSignal,
): Promise<Ended> {
  let swapping = false;
  try {
    await updater.pull(worker, version, signal);
    if (signal.aborted) return { followed: { end: 'left' }, free: true };
    swapping = true;
    await updater.swap(worker, version, signal);
    const told = await firstBeat(version, heard, signal);
    if (signal.aborted) return { followed: { end: 'left' }, free: false };
    if (told === version) return { followed: { end: 'done' }, free: true };
    return { followed: { end: 'failed', reason: anotherVersion(version, told) }, free: false };
  } catch (error) {
    if (signal.aborted) return { followed: { end: 'left' }, free: !swapping };
    if (error instanceof UserError && error.code === 'LOCKED') return { followed: { end: 'busy' }, free: true };
    return { followed: { end: 'failed', reason: reasonOf(error) }, free: false };
  }
}

/** Waits until the worker says that it has this version; the version it says in the end. */
async function firstBeat(version: string, heard: () => Beat | null, signal: AbortSignal): Promise<string | null> {
  const end = performance.now() + BEAT_LIMIT;
  for (;;) {
    const told = heard()?.version ?? null;
    if (told === version || performance.now() > end || signal.aborted) return told;
    await pause(BEAT_PAUSE, undefined, { ref: false });
  }
}

function anotherVersion(version: string, told: string | null): Text {
  return {
    en: `the agent of ${version} runs, but its heartbeats say ${told ?? 'no version'}`,
    zh: `${version} 的 agent 已运行,但其心跳报告的版本是 ${told ?? '(无)'}`,
  };
}

function reasonOf(error: unknown): Text {
  if (error instanceof UserError) return error.text;
  return same(error instanceof Error ? error.message : String(error));
}
