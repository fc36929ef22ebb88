import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { NEW_WORKER, type WorkerStatus } from '../../src/domain/worker-state.ts';
import { until } from '../until.ts';
import { openLog } from '../../src/effects/log.ts';
import { EmbeddedStore } from '../../src/server/embedded-store.ts';
import { RedisStore } from '../../src/server/redis-store.ts';
import {
  compareEventIds,
  FIRST_UNLISTED,
  LOCK_SECONDS,
  StoreAway,
  type Beat,
  type FleetEvent,
  type Loaded,
  type Store,
  type WorkerRecord,
} from '../../src/server/store.ts';
import { openClockRig, openRedisRig, type RedisRig } from './redis-rig.ts';

let redis: RedisRig;
beforeAll(async () => {
  redis = await openRedisRig();
});
afterAll(() => redis?.close());

const log: string[] = [];
const opened: Store[] = [];
let folder: string;
beforeEach(async () => {
  log.length = 0;
  folder = await mkdtemp(join(tmpdir(), 'xingrin-store-'));
  await redis.redis.flushall();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const store of opened.splice(0)) await store.close();
  await rm(folder, { recursive: true, force: true });
});

/** A store, and what its listener heard. */
interface Opened {
  readonly store: Store;
  readonly loaded: Loaded;
  readonly events: FleetEvent[];
  readonly beats: Map<number, Beat>;
  readonly returned: Loaded[];
}

async function listen(store: Store): Promise<Opened> {
  const events: FleetEvent[] = [];
  const beats = new Map<number, Beat>();
  const returned: Loaded[] = [];
  opened.push(store);
  const loaded = await store.open({
    event: (event) => events.push(event),
    beats: (some) => {
      for (const [id, beat] of some) beats.set(id, beat);
    },
    returned: (again) => returned.push(again),
  });
  return { store, loaded, events, beats, returned };
}

async function closeStore(store: Store): Promise<void> {
  opened.splice(opened.indexOf(store), 1);
  await store.close();
}

const embedded = (): Promise<Opened> =>
  listen(
    new EmbeddedStore(
      folder,
      openLog([], (line) => log.push(line)),
    ),
  );
async function shared(url = redis.url): Promise<Opened> {
  const one = await listen(
    new RedisStore(
      url,
      openLog([], (line) => log.push(line)),
    ),
  );
  await redis.settle();
  return one;
}

function record(id: number, revision: number, status: WorkerStatus = 'online', name = `w${id}`): WorkerRecord {
  return { id, name, local: false, revision, state: { ...NEW_WORKER, status } };
}
async function put(store: Store, before: WorkerRecord | null, after: WorkerRecord | null): Promise<boolean> {
  const { id: workerId, name } = after ?? before ?? record(0, 0);
  return store.swap({ workerId, before, after, name, version: 'v1.0.0', at: store.now() });
}
const BEAT: Omit<Beat, 'at'> = { version: 'v1.0.0', cpu: 12.5, memory: 50 };

describe.each<[string, () => Promise<Opened>, () => Promise<unknown>]>([
  [
    'embedded',
    embedded,
    async () => {
      const real = performance.now.bind(performance);
      vi.spyOn(performance, 'now').mockImplementation(() => real() + (LOCK_SECONDS + 1) * 1_000);
    },
  ],
  ['Redis', shared, () => redis.redis.pexpire('agent_update_lock:2', 1)],
])('the store: %s', (_kind, open, letLocksExpire) => {
  test('a record is replaced only by who knew it as it is, and everybody hears of it once', async () => {
    const { store, loaded, events } = await open();
    expect(loaded).toEqual({ records: [], beats: new Map() });
    expect(await put(store, null, record(2, 1))).toBe(true);
    expect(await put(store, null, record(2, 1, 'offline'))).toBe(false);
    expect(await put(store, record(2, 1), record(2, 2, 'offline'))).toBe(true);
    expect(await put(store, record(2, 1), record(2, 2, 'updating'))).toBe(false);
    expect(await store.read(2)).toEqual(record(2, 2, 'offline'));
    expect(await store.read(3)).toBeNull();
    await until('both events', () => events.length === 2);
    expect(events).toMatchObject([
      { workerId: 2, name: 'w2', from: null, version: 'v1.0.0', record: record(2, 1) },
      { workerId: 2, from: 'online', record: record(2, 2, 'offline') },
    ]);
    expect(compareEventIds(events[0]?.id ?? '', events[1]?.id ?? '')).toBeLessThan(0);
  });

  test('of many changes at once one is made', async () => {
    const { store } = await open();
    const made = await Promise.all(Array.from({ length: 20 }, () => put(store, null, record(2, 1))));
    expect(made.filter(Boolean)).toHaveLength(1);
  });

  test('a name has one id, whoever asks, and a removed one does not come back', async () => {
    const { store } = await open();
    const same = await Promise.all(Array.from({ length: 20 }, () => store.claim('__proto__')));
    expect(new Set(same)).toEqual(new Set([FIRST_UNLISTED]));
    expect(await store.claim('星环 "x" \n')).toBe(FIRST_UNLISTED + 1);
    const guest = record(FIRST_UNLISTED, 1, 'online', '__proto__');
    await put(store, null, guest);
    await put(store, guest, null);
    expect(await store.read(FIRST_UNLISTED)).toBeNull();
    expect(await store.claim('__proto__')).toBe(FIRST_UNLISTED + 2);
    expect(await store.claim('星环 "x" \n')).toBe(FIRST_UNLISTED + 1);
  });

  test('a name that is no Unicode hinders nobody', async () => {
    const { store } = await open();
    const odd = '\ud800';
    const id = await store.claim(odd);
    expect(await put(store, null, record(id, 1, 'online', odd))).toBe(true);
    expect(await put(store, record(id, 1, 'online', odd), record(id, 2, 'offline', odd))).toBe(true);
    expect((await store.read(id))?.state.status).toBe('offline');
  });

  test('a lock has one owner, who alone can keep it and give it back', async () => {
    const { store } = await open();
    const taken = await Promise.all(['a', 'b', 'c'].map((owner) => store.lock(2, owner)));
    expect(taken).toEqual([true, false, false]);
    expect(await store.lock(3, 'b')).toBe(true);
    expect(await store.renew(2, 'b')).toBe(false);
    expect(await store.renew(2, 'a')).toBe(true);
    await store.unlock(2, 'b');
    expect(await store.lock(2, 'b')).toBe(false);
    await store.unlock(2, 'a');
    expect(await store.lock(2, 'b')).toBe(true);
  });

  test('a lock ends by itself, and who comes too late does not end that of another', async () => {
    const { store } = await open();
    await store.lock(2, 'late');
    await letLocksExpire();
    await until('its end', () => store.lock(2, 'next'));
    expect(await store.renew(2, 'late')).toBe(false);
    await store.unlock(2, 'late');
    expect(await store.lock(2, 'third')).toBe(false);
    expect(await store.renew(2, 'next')).toBe(true);
  });

  test('who comes back gets the events that it missed, or hears that they are no longer known', async () => {
    const { store, events } = await open();
    for (const id of [2, 3, 4]) await put(store, null, record(id, 1));
    await until('all events', () => events.length === 3);
    const [first, ...later] = events;
    expect(await store.eventsAfter(first?.id ?? '')).toEqual(later);
    expect(await store.eventsAfter(later[1]?.id ?? '')).toEqual([]);
    expect(await store.eventsAfter('5-0')).toBeNull();
  });

  test('everything is there after a restart', async () => {
    const first = await open();
    const id = await first.store.claim('guest');
    const guest = record(id, 1, 'outdated', 'guest');
    await put(first.store, null, guest);
    await put(first.store, null, record(2, 1));
    const beat = { ...BEAT, at: first.store.now() };
    first.store.note(id, beat);
    await first.store.lock(2, 'a');
    await closeStore(first.store);
    const { store, loaded } = await open();
    expect(loaded.records.toSorted((a, b) => a.id - b.id)).toEqual([record(2, 1), guest]);
    expect(loaded.beats).toEqual(new Map([[id, beat]]));
    expect(await store.claim('guest')).toBe(id);
    expect(await store.lock(2, 'b')).toBe(false);
    expect(await store.renew(2, 'a')).toBe(true);
    expect(Math.abs(store.now() - Date.now())).toBeLessThan(5_000);
    // What is removed takes its heartbeat and its lock with it.
    await put(store, guest, null);
    await put(store, record(2, 1), null);
    expect(await store.lock(2, 'b')).toBe(true);
    await closeStore(store);
    expect((await open()).loaded).toEqual({ records: [], beats: new Map() });
  });
});

describe('several servers on one Redis', () => {
  test('each hears what the others changed, and which heartbeats they took', async () => {
    const [one, other] = [await shared(), await shared()];
    await put(one.store, null, record(2, 1));
    const beat = { ...BEAT, at: one.store.now() };
    one.store.note(2, beat);
    await until('the other to hear', () => other.events.length === 1 && other.beats.size === 1);
    expect(other.events).toMatchObject([{ workerId: 2, record: record(2, 1) }]);
    expect(other.beats).toEqual(new Map([[2, beat]]));
    await until('itself to hear', () => one.events.length === 1);
    expect(one.events).toEqual(other.events);
    expect(one.beats.size).toBe(0);
    expect(await redis.redis.ttl('agent_update_lock:2')).toBe(-2);
    expect(await one.store.lock(2, 'a')).toBe(true);
    expect(await other.store.lock(2, 'b')).toBe(false);
    const left = await redis.redis.ttl('agent_update_lock:2');
    expect(left).toBeGreaterThan(LOCK_SECONDS - 5);
    expect(left).toBeLessThanOrEqual(LOCK_SECONDS);
    expect(await redis.redis.get('agent_update_lock:2')).toBe('a');
  });

  test('changes of one worker follow one another, whoever makes them', async () => {
    const servers = [await shared(), await shared()];
    await put(servers[0]?.store as Store, null, record(2, 1));
    const change = async ({ store }: Opened, status: WorkerStatus): Promise<void> => {
      for (;;) {
        const before = await store.read(2);
        if (before !== null && (await put(store, before, record(2, before.revision + 1, status)))) return;
      }
    };
    const statuses: WorkerStatus[] = ['online', 'offline', 'outdated', 'updating'];
    await Promise.all(
      Array.from({ length: 80 }, (_, n) => change(servers[n % 2] as Opened, statuses[n % 4] as WorkerStatus)),
    );
    const [one, other] = servers as [Opened, Opened];
    await until('all events', () => one.events.length === 81 && other.events.length === 81);
    expect(one.events).toEqual(other.events);
    let last: WorkerStatus | null = null;
    for (const [index, event] of one.events.entries()) {
      expect(event.record?.revision).toBe(index + 1);
      expect(event.from).toBe(last);
      last = event.record?.state.status ?? null;
    }
  });

  test('Redis is killed and has lost everything: nobody else gets an id, and no lock is given twice', async () => {
    const [one, other] = [await shared(), await shared()];
    const id = await one.store.claim('guest');
    await put(one.store, null, record(id, 1, 'online', 'guest'));
    expect(await one.store.lock(2, 'a')).toBe(true);
    await until('the other to hear', () => other.events.length === 1);
    await redis.kill();
    for (const { store } of [one, other]) {
      await until('it to be missed', () => !store.available());
      await expect(store.lock(2, 'b')).rejects.toThrow(StoreAway);
      await expect(store.read(2)).rejects.toThrow(StoreAway);
      await expect(put(store, null, record(3, 1))).rejects.toThrow(StoreAway);
    }
    await redis.start();
    await until('both to be back', () => one.store.available() && other.store.available());
    expect(await other.store.lock(2, 'b')).toBe(false);
    expect(await other.store.lock(3, 'b')).toBe(false);
    expect(await one.store.renew(2, 'a')).toBe(true);
    await redis.settle();
    expect(await other.store.lock(2, 'b')).toBe(false);
    expect(await other.store.lock(3, 'b')).toBe(true);
    expect(await other.store.read(id)).toEqual(record(id, 1, 'online', 'guest'));
    expect(await other.store.claim('guest')).toBe(id);
    expect(await other.store.claim('somebody else')).toBe(id + 1);
    for (const { returned } of [one, other])
      expect(returned).toMatchObject([{ records: [record(id, 1, 'online', 'guest')] }]);
  });

  test('somebody empties Redis: that is noticed before anything is concluded from it', async () => {
    const [one, other] = [await shared(), await shared()];
    const id = await one.store.claim('guest');
    await put(one.store, null, record(id, 1, 'online', 'guest'));
    expect(await one.store.lock(2, 'a')).toBe(true);
    await until('the other to hear', () => other.events.length === 1);
    await redis.redis.flushall();
    // Of two questions at once neither is answered from what is no longer there.
    const asked = await Promise.allSettled([one.store.claim('somebody else'), other.store.lock(2, 'b')]);
    expect(asked).toEqual([
      expect.objectContaining({ status: 'rejected' }),
      expect.objectContaining({ status: 'rejected' }),
    ]);
    await until('both to be back', () => one.store.available() && other.store.available());
    expect(await other.store.lock(2, 'b')).toBe(false);
    expect(await one.store.renew(2, 'a')).toBe(true);
    expect(await other.store.claim('guest')).toBe(id);
    expect(await other.store.claim('somebody else')).toBe(id + 1);
    expect(await other.store.read(id)).toEqual(record(id, 1, 'online', 'guest'));
    expect(log.join('')).toContain('Redis has lost what it knew');
    // Also when nobody asks.
    await redis.redis.flushall();
    await until('it to be told again', async () => (await redis.redis.exists('xingrin:workers')) === 1);
  });

  test('Redis hangs: that is noticed, and what others did meanwhile is heard', async () => {
    const [one, other] = [await shared(), await shared()];
    await put(one.store, null, record(2, 1));
    await until('the other to hear', () => other.events.length === 1);
    redis.freeze();
    const question = one.store.read(2);
    await expect(question).rejects.toThrow(StoreAway);
    await until('both to miss it', () => !one.store.available() && !other.store.available());
    redis.thaw();
    await until('one to be back', () => one.store.available());
    await put(one.store, record(2, 1), record(2, 2, 'offline'));
    await until('the other to hear', () => other.events.length === 2);
    expect(other.events[1]).toMatchObject({ record: record(2, 2, 'offline') });
  });

  test('a Redis that refuses to write is named, and nothing is said to be done', async () => {
    const { store } = await shared();
    await redis.redis.config('SET', 'min-replicas-to-write', '1');
    await expect(put(store, null, record(2, 1))).rejects.toThrow(StoreAway);
    await expect(store.lock(2, 'a')).rejects.toThrow(StoreAway);
    await redis.redis.config('SET', 'min-replicas-to-write', '0');
    expect(log.join('')).toContain('NOREPLICAS');
    expect(await store.lock(2, 'a')).toBe(true);
  });

  test("somebody sets the clock of Redis' machine: nobody was silent for that day", async () => {
    const clock = await openClockRig(redis.url);
    const { store, returned } = await shared(clock.url);
    const before = store.now();
    clock.turn(86_400);
    await until('that to be noticed', () => returned.length > 0);
    expect(store.now() - before).toBeGreaterThan(86_000_000);
    clock.turn(0);
    await until('that to be noticed', () => returned.length > 1);
    expect(Math.abs(store.now() - Date.now())).toBeLessThan(5_000);
    expect(store.available()).toBe(true);
    clock.close();
  });

  test('a Redis that wants a password gets it, and is named where it is missing or wrong', async () => {
    await redis.redis.config('SET', 'requirepass', 'hush-hush');
    try {
      for (const [login, reason] of [
        ['', 'NOAUTH'],
        [':wrong-one@', 'WRONGPASS'],
      ] as const) {
        const url = redis.url.replace('redis://', `redis://${login}`);
        const { store } = await listen(
          new RedisStore(
            url,
            openLog([url], (line) => log.push(line)),
          ),
        );
        expect(store.available()).toBe(false);
        expect(log.join('')).toContain(reason);
        expect(log.join('')).not.toContain('wrong-one');
      }
      const { store } = await shared(redis.url.replace('redis://', 'redis://:hush-hush@'));
      expect(await store.lock(2, 'a')).toBe(true);
    } finally {
      await redis.redis.config('SET', 'requirepass', '');
    }
  });

  test('a Redis that is not there yet is waited for', async () => {
    await redis.kill();
    const begin = await listen(
      new RedisStore(
        redis.url,
        openLog([], (line) => log.push(line)),
      ),
    );
    expect(begin.store.available()).toBe(false);
    expect(begin.loaded.records).toEqual([]);
    await redis.start();
    await until('it to be found', () => begin.store.available());
    expect(begin.returned).toHaveLength(1);
  });
});
