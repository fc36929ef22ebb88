import { describe, expect, test } from 'vitest';
import {
  advance,
  NEW_WORKER,
  OFFLINE_AFTER,
  pauseAfter,
  UPDATE_LIMIT,
  type Reach,
  type WorkerEvent,
  type WorkerState,
  type WorkerStatus,
} from '../../../src/domain/worker-state.ts';

const REASON = { en: 'no space left', zh: '空间不足' };
const STATES: Readonly<Record<WorkerStatus, WorkerState>> = {
  pending: NEW_WORKER,
  deploying: { ...NEW_WORKER, status: 'deploying' },
  online: { ...NEW_WORKER, status: 'online' },
  updating: { ...NEW_WORKER, status: 'updating', target: 'v2', deadline: 1_000 + UPDATE_LIMIT },
  outdated: { ...NEW_WORKER, status: 'outdated', target: 'v2', failures: 1, reason: REASON, nextTry: 61_000 },
  offline: { ...NEW_WORKER, status: 'offline' },
};

function beat(version: string | null, reach: Reach = 'ssh', at = 2_000, held = false): WorkerEvent {
  return { type: 'heartbeat', at, version, wanted: 'v2', reach, held };
}
const FAILURE: WorkerEvent = { type: 'update-failed', at: 2_000, target: 'v2', reason: REASON };
const SILENCE: WorkerEvent = { type: 'tick', at: 2_000, heard: 2_000 - OFFLINE_AFTER };
const ALMOST: WorkerEvent = { type: 'tick', at: 2_000, heard: 2_001 - OFFLINE_AFTER };

describe('the table of the contract', () => {
  test.each<[string, WorkerStatus, WorkerEvent, WorkerStatus]>([
    ['first heartbeat', 'pending', beat('v2'), 'online'],
    ['first heartbeat', 'deploying', beat('v2'), 'online'],
    ['first heartbeat, of an agent that does not know its version', 'pending', beat(null), 'online'],
    ['somebody sets it up', 'pending', { type: 'deploying' }, 'deploying'],
    ['same version', 'updating', beat('v2'), 'online'],
    ['same version', 'outdated', beat('v2'), 'online'],
    ['same version', 'offline', beat('v2'), 'online'],
    ['same version', 'online', beat('v2'), 'online'],
    ['other version, remote', 'online', beat('v1'), 'updating'],
    ['other version, remote', 'offline', beat('v1'), 'updating'],
    ['other version, remote, while it is updated', 'updating', beat('v1'), 'updating'],
    ['other version, remote, right after a failure', 'outdated', beat('v1'), 'outdated'],
    ['other version, remote, when the pause is over', 'outdated', beat('v1', 'ssh', 61_000), 'updating'],
    ['other version, while the stack may still go back', 'online', beat('v1', 'ssh', 2_000, true), 'online'],
    ['unknown version, while it is updated', 'updating', beat(null), 'updating'],
    ['unknown version, after a failure', 'outdated', beat(null), 'outdated'],
    ['unknown version', 'offline', beat(null), 'online'],
    ['update failed', 'updating', FAILURE, 'outdated'],
    ['update failed, too late to matter', 'online', FAILURE, 'online'],
    ['update timed out', 'updating', { type: 'tick', at: 1_000 + UPDATE_LIMIT, heard: null }, 'outdated'],
    ['update timed out', 'updating', beat('v1', 'ssh', 1_000 + UPDATE_LIMIT), 'outdated'],
    ['other version, local', 'online', beat('v1', 'local'), 'outdated'],
    ['other version, local', 'offline', beat('v1', 'local'), 'outdated'],
    ['other version, no way to it', 'online', beat('v1', 'unlisted'), 'outdated'],
    ['no heartbeat for 15 s', 'online', SILENCE, 'offline'],
    ['no heartbeat for almost 15 s', 'online', ALMOST, 'online'],
    ['no heartbeat for 15 s', 'outdated', SILENCE, 'offline'],
    ['no heartbeat while its agent is replaced', 'updating', SILENCE, 'updating'],
    ['no heartbeat ever', 'pending', { type: 'tick', at: 1e12, heard: null }, 'pending'],
  ])('%s: %s', (_what, from, event, to) => {
    expect(advance(STATES[from], event).state.status).toBe(to);
  });

  test('an update is started once, then again only when it has to be', () => {
    const first = advance(STATES.online, beat('v1'));
    expect(first.update).toBe('v2');
    expect(advance(first.state, beat('v1', 'ssh', 5_000)).update).toBeNull();
    // The process that ran it is gone.
    const { state: orphaned } = advance(first.state, { type: 'restarted', at: 6_000 });
    expect(advance(orphaned, beat('v1', 'ssh', 6_000)).update).toBe('v2');
    // Another server holds the lock.
    const { state: waiting } = advance(first.state, { type: 'update-busy', at: 6_000 });
    expect(advance(waiting, beat('v1', 'ssh', 6_001)).update).toBeNull();
    const again = advance(waiting, beat('v1', 'ssh', 10_000));
    expect(again.update).toBe('v2');
    expect(again.state.deadline).toBe(first.state.deadline);
  });

  test('a new release is tried at once, whatever the pause', () => {
    const newer: WorkerEvent = { type: 'heartbeat', at: 2_000, version: 'v1', wanted: 'v3', reach: 'ssh', held: false };
    expect(advance(STATES.outdated, newer)).toMatchObject({
      update: 'v3',
      state: { status: 'updating', failures: 0, target: 'v3' },
    });
  });

  test('says what to do about a local worker', () => {
    expect(advance(STATES.online, beat('v1', 'local')).state.reason?.en).toBe('run xingrin update');
  });

  test('a worker that comes back from silence still has its reason', () => {
    const { state: silent } = advance(STATES.outdated, { type: 'tick', at: 20_000, heard: 0 });
    expect(silent).toMatchObject({ status: 'offline', reason: REASON });
    expect(advance(silent, beat('v1', 'ssh', 21_000)).state).toMatchObject({ status: 'outdated', reason: REASON });
    expect(advance(silent, beat('v1', 'ssh', 61_000)).update).toBe('v2');
  });

  test('pauses grow, up to an hour', () => {
    const pauses = Array.from({ length: 12 }, (_, index) => pauseAfter(index + 1));
    expect(pauses.slice(0, 4)).toEqual([60_000, 120_000, 240_000, 480_000]);
    for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThanOrEqual(pauses[index - 1] ?? 0);
    expect(pauses.at(-1)).toBe(3_600_000);
  });

  test('a heartbeat that changes nothing makes nothing', () => {
    expect(advance(STATES.online, beat('v2')).state).toBe(STATES.online);
  });
});

/** Small, fast and the same every time: xorshift. */
function dice(seed: number): (sides: number) => number {
  let x = seed | 1;
  return (sides) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % sides;
  };
}

test('a million random sequences of events break no rule', () => {
  const roll = dice(20_260_101);
  const versions = ['v1', 'v2', 'v3', null];
  const wantedOnes = ['v1', 'v2', 'v2', 'v3'];
  const broken: string[] = [];
  const expectTrue = (fact: boolean, rule: string): void => {
    if (!fact && broken.length < 10) broken.push(rule);
  };
  const reached = new Set<string>();
  for (let sequence = 0; sequence < 1_000_000; sequence += 1) {
    let state = NEW_WORKER;
    let at = 1_000_000;
    let heard: number | null = null;
    const reach: Reach = (['ssh', 'ssh', 'ssh', 'local', 'unlisted'] as const)[roll(5)] ?? 'ssh';
    let started: { target: string; at: number } | null = null;
    const length = 4 + roll(8);
    for (let step = 0; step < length; step += 1) {
      at += [0, 3_000, 3_000, 16_000, 70_000, UPDATE_LIMIT][roll(6)] ?? 0;
      const kind = roll(10);
      let event: WorkerEvent;
      if (kind < 5) {
        const wanted = wantedOnes[roll(4)] ?? 'v2';
        event = { type: 'heartbeat', at, version: versions[roll(4)] ?? null, wanted, reach, held: roll(6) === 0 };
        heard = at;
      } else if (kind < 7) event = { type: 'tick', at, heard };
      else if (kind === 7) event = { type: 'update-failed', at, target: wantedOnes[roll(4)] ?? 'v2', reason: REASON };
      else if (kind === 8) event = { type: 'update-busy', at };
      else event = roll(4) === 0 ? { type: 'deploying' } : { type: 'restarted', at };

      const before = state;
      const { state: after, update } = advance(before, event);
      state = after;
      if (before.status !== after.status) reached.add(`${before.status} → ${after.status}`);

      expectTrue(after.status !== 'outdated' || after.reason !== null, 'outdated without a reason');
      expectTrue(
        update === null || (after.status === 'updating' && after.target === update),
        'started, yet not updating',
      );
      expectTrue(
        after.status !== 'updating' || !('at' in event) || (after.deadline > at && after.target !== null),
        'an update without an end',
      );
      expectTrue(update === null || reach === 'ssh', 'an update of what cannot be reached');
      // Only the wanted version ends an update well; only failing or its limit end it badly.
      if (before.status === 'updating' && after.status !== 'updating') {
        const arrived = event.type === 'heartbeat' && event.version === event.wanted;
        const late = 'at' in event && event.at >= before.deadline;
        const givenUp = event.type === 'update-failed' && event.target === before.target;
        expectTrue(arrived || late || givenUp || reach !== 'ssh', `an update was hidden by ${event.type}`);
        expectTrue(arrived ? after.status === 'online' : after.status === 'outdated', 'an update ended as neither');
      }
      // After a failure the same version is not tried again before the pause is over.
      if (update !== null) {
        const paused = before.failures > 0 && before.target === update && before.status !== 'updating';
        expectTrue(!paused || at >= before.nextTry, 'tried again too early');
        expectTrue(event.type === 'heartbeat' && !event.held, 'started without a heartbeat, or while held');
        const twice = started !== null && started.target === update && before.status === 'updating';
        expectTrue(!twice || before.nextTry > 0, 'started twice');
        started = { target: update, at };
      }
      if (after.status === 'outdated' && before.status === 'updating') {
        expectTrue(after.nextTry - at >= pauseAfter(after.failures), 'a pause that does not grow');
      }
    }
    // From wherever it is, heartbeats of the wanted version bring it back.
    const home: WorkerEvent = { type: 'heartbeat', at, version: 'v2', wanted: 'v2', reach, held: false };
    expectTrue(advance(advance(state, home).state, home).state.status === 'online', `no way out of ${state.status}`);
    // And of another version, in time, lead to an update again, or to a reason.
    const late = at + UPDATE_LIMIT + 3_600_000;
    let other = state;
    for (let again = 0; again < 3; again += 1) {
      other = advance(other, { ...home, version: 'v1', at: late + again * (UPDATE_LIMIT + 3_600_000) }).state;
    }
    expectTrue(
      other.status === 'updating' || other.status === 'outdated',
      `an update was forgotten in ${other.status}`,
    );
  }
  expect(broken).toEqual([]);
  // The sequences went everywhere.
  expect([...reached].sort()).toEqual(
    [
      'deploying → online',
      'offline → online',
      'offline → outdated',
      'offline → updating',
      'online → offline',
      'online → outdated',
      'online → updating',
      'outdated → offline',
      'outdated → online',
      'outdated → updating',
      'pending → deploying',
      'pending → online',
      'updating → online',
      'updating → outdated',
    ].sort(),
  );
}, 120_000);
