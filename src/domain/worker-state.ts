import type { Text } from './text.ts';

export type WorkerStatus = 'pending' | 'deploying' | 'online' | 'updating' | 'outdated' | 'offline';

/** What the control plane has concluded about a worker. Times are milliseconds of the control plane's own clock. */
export interface WorkerState {
  readonly status: WorkerStatus;
  /** Why it is not as it should be; always there while `outdated`. */
  readonly reason: Text | null;
  /** The version that the last update was to bring; null before the first. */
  readonly target: string | null;
  /** Updates to `target` in a row that did not work. */
  readonly failures: number;
  /** No update starts before. */
  readonly nextTry: number;
  /** While `updating`: when nobody waits for it any longer. */
  readonly deadline: number;
}

/** Whether a worker can be brought to another version from here: over SSH, or else why not. */
export type Reach = 'ssh' | 'local' | 'unlisted';

export type WorkerEvent =
  /** Somebody has begun to set it up. */
  | { readonly type: 'deploying' }
  | {
      readonly type: 'heartbeat';
      readonly at: number;
      /** As the agent says; null if it does not know. */
      readonly version: string | null;
      /** What IMAGE_TAG asks for; null if nothing is asked for. */
      readonly wanted: string | null;
      readonly reach: Reach;
      /** The stack itself may still go back: nobody is to follow it yet. */
      readonly held: boolean;
    }
  /** Time has passed. `heard`: the last heartbeat, or when we began to listen if that was later; null if there never was one. */
  | { readonly type: 'tick'; readonly at: number; readonly heard: number | null }
  /** The update that was to start did not: somebody else holds the lock, or it could not be asked for. */
  | { readonly type: 'update-busy'; readonly at: number }
  | { readonly type: 'update-failed'; readonly at: number; readonly target: string; readonly reason: Text }
  /** Whoever ran an update in this process is gone: it may have to be started again. */
  | { readonly type: 'restarted'; readonly at: number };

export interface Outcome {
  /** The very same object where nothing changed. */
  readonly state: WorkerState;
  /** The version to which an update is to be started now. */
  readonly update: string | null;
}

/** Without a heartbeat for so long a worker is offline. */
export const OFFLINE_AFTER = 15_000;
/** An update that is not over by then has failed: pulling two images, and a swap. */
export const UPDATE_LIMIT = 15 * 60_000;
/** Between two questions for a lock that somebody else holds. */
const BUSY_PAUSE = 3_000;
/** After a failure: doubled with each, and at least as long as the lock is kept. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = 60 * 60_000;

export const NEW_WORKER: WorkerState = {
  status: 'pending',
  reason: null,
  target: null,
  failures: 0,
  nextTry: 0,
  deadline: 0,
};

/** The contract's table, section 5: what an event makes of a worker's state. Pure; every event fits every state. */
export function advance(state: WorkerState, event: WorkerEvent): Outcome {
  if (event.type === 'deploying') return state.status === 'pending' ? to({ ...state, status: 'deploying' }) : to(state);
  const current = overdue(state, event.at);
  switch (event.type) {
    case 'heartbeat':
      return heartbeat(current, event);
    case 'tick':
      return current === state ? tick(current, event.at, event.heard) : to(current);
    case 'update-busy':
      return current.status === 'updating' ? to({ ...current, nextTry: event.at + BUSY_PAUSE }) : to(current);
    case 'update-failed':
      // What is about another target, or comes when the worker is right already, is old news.
      return current.status === 'updating' && current.target === event.target
        ? to(failed(current, event.at, event.reason))
        : to(current);
    case 'restarted':
      return current.status === 'updating' ? to({ ...current, nextTry: event.at }) : to(current);
  }
}

/** Milliseconds until an update that failed so many times in a row is tried again. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures - 1, 10));
}

type Heartbeat = Extract<WorkerEvent, { type: 'heartbeat' }>;

function heartbeat(state: WorkerState, event: Heartbeat): Outcome {
  const { version, wanted } = event;
  if (state.status === 'pending' || state.status === 'deploying') return to({ ...NEW_WORKER, status: 'online' });
  if (wanted === null || version === wanted) {
    return state.status === 'online' && state.reason === null ? to(state) : to({ ...NEW_WORKER, status: 'online' });
  }
  // An agent that does not know its version tells that it lives, and nothing about an update.
  if (version === null) return state.status === 'offline' ? to(backFromSilence(state)) : to(state);
  if (event.reach !== 'ssh') return outOfReach(state, event.reach);
  const renewed = state.target !== wanted;
  if (event.held) return state.status === 'offline' ? to(backFromSilence(state)) : to(state);
  if (!renewed && event.at < state.nextTry) return state.status === 'offline' ? to(backFromSilence(state)) : to(state);
  // An update that is under way is not started twice; the one that this process does not run is (see `restarted`).
  if (state.status === 'updating' && !renewed && state.nextTry === 0) return to(state);
  const begun = state.status === 'updating' && !renewed ? state.deadline : event.at + UPDATE_LIMIT;
  return {
    state: {
      status: 'updating',
      reason: null,
      target: wanted,
      failures: renewed ? 0 : state.failures,
      nextTry: 0,
      deadline: begun,
    },
    update: wanted,
  };
}

function tick(state: WorkerState, at: number, heard: number | null): Outcome {
  const silent = heard !== null && at - heard >= OFFLINE_AFTER;
  // While an agent is replaced it is silent for a while; its update has a limit of its own.
  if (silent && (state.status === 'online' || state.status === 'outdated')) return to({ ...state, status: 'offline' });
  return to(state);
}

/** The state, or what has become of it when an update took too long. */
function overdue(state: WorkerState, at: number): WorkerState {
  if (state.status !== 'updating' || at < state.deadline) return state;
  const minutes = UPDATE_LIMIT / 60_000;
  return failed(state, at, {
    en: `the update to ${state.target ?? 'another version'} was not over after ${minutes} minutes`,
    zh: `更新到 ${state.target ?? '其他版本'} 超过 ${minutes} 分钟仍未完成`,
  });
}

function failed(state: WorkerState, at: number, reason: Text): WorkerState {
  const failures = state.failures + 1;
  return { ...state, status: 'outdated', reason, failures, nextTry: at + pauseAfter(failures), deadline: 0 };
}

/** It lives again; whatever went wrong before still holds. */
function backFromSilence(state: WorkerState): WorkerState {
  return { ...state, status: state.reason === null ? 'online' : 'outdated' };
}

function outOfReach(state: WorkerState, reach: 'local' | 'unlisted'): Outcome {
  const reason = REASONS[reach];
  return state.status === 'outdated' && state.reason?.en === reason.en
    ? to(state)
    : to({ ...NEW_WORKER, status: 'outdated', reason });
}

const REASONS: Readonly<Record<'local' | 'unlisted', Text>> = {
  local: { en: 'run xingrin update', zh: '请运行 xingrin update' },
  unlisted: {
    en: 'not in the inventory, so it cannot be updated from here: xingrin worker add',
    zh: '不在清单中,无法从这里更新:xingrin worker add',
  },
};

function to(state: WorkerState): Outcome {
  return { state, update: null };
}
