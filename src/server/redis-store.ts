import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Log } from '../effects/log.ts';
import { RedisLink } from '../effects/redis-link.ts';
import { CLAIM, EMPTIED, ENTER, KEYS, LOCK, RENEW, SWAP, UNLOCK } from './redis-scripts.ts';
import {
  EVENTS_KEPT,
  FIRST_UNLISTED,
  StoreAway,
  type Beat,
  type Change,
  type FleetEvent,
  type Loaded,
  type Store,
  type StoreListener,
  type WorkerRecord,
} from './store.ts';

/** Milliseconds between two rounds of telling the heartbeats that came. */
const BEATS_PAUSE = 500;
/** Milliseconds that we wait for news before we ask again. */
const NEWS_PAUSE = 500;
/** Heartbeats in one command, and changes in one answer. */
const AT_ONCE = 1_000;
/** Rounds of heartbeats that are kept: whoever reads them reads them at once. */
const NEWS_KEPT = 100;
/** Milliseconds between two looks at Redis' clock, and a difference that is no mere delay. */
const CLOCK_PAUSE = 2_000;
const CLOCK_STEP = 5_000;

type Entries = readonly (readonly [id: string, fields: readonly string[]])[];
/** How a heartbeat is written: shorter than with names. */
type ShortBeat = readonly [at: number, version: string | null, cpu: number, memory: number];

/**
 * Keeps everything in a Redis that several servers share. A record is replaced by a Lua script, which Redis runs as a whole: it looks at
 * the revision, writes, and tells the event, so that changes of one worker follow one another whoever makes them. Events are a stream, and
 * every server, also the one that made a change, hears of it by reading that. Heartbeats that change nothing are gathered, written twice
 * a second and told to the other servers. Time is Redis' time.
 *
 * While Redis is away every method says so, and nothing is gathered for later.
 */
export class RedisStore implements Store {
  readonly kind = 'redis';
  readonly #log: Log;
  readonly #link: RedisLink;
  readonly #self = randomUUID();
  #listener: StoreListener | null = null;
  /** What was loaded first; from then on the listener is told. */
  #loaded: Loaded | null = null;
  #zero = Date.now() - performance.now();
  #clockSetAt = 0;
  #cursors = { events: '', news: '0-0' };
  /** What a Redis that lost everything gets back. */
  readonly #records = new Map<number, WorkerRecord>();
  #unsent = new Map<number, Beat>();
  #timer: NodeJS.Timeout | undefined;

  constructor(url: string, log: Log) {
    this.#log = log;
    this.#link = new RedisLink(url, {
      connected: (redis) => this.#enter(redis),
      read: (reader) => this.#readNews(reader),
      lost: (error) => log.error('Redis does not answer', { error: String(error) }),
    });
  }

  available(): boolean {
    return this.#link.commands !== null;
  }

  now(): number {
    return Math.round(this.#zero + performance.now());
  }

  /** Comes back without anything if Redis is not there yet: the listener is told when it is. */
  async open(listener: StoreListener): Promise<Loaded> {
    await this.#link.open();
    this.#listener = listener;
    this.#timer = setInterval(() => void this.#sendBeats().catch(() => {}), BEATS_PAUSE).unref();
    return this.#loaded ?? { records: [], beats: new Map() };
  }

  async read(id: number): Promise<WorkerRecord | null> {
    const text = await this.#ask((redis) => redis.hget(KEYS.workers, String(id)));
    return text === null ? null : recordOf(text);
  }

  async swap({ workerId, before, after, name, version, at }: Change): Promise<boolean> {
    const event = { at, workerId, name, from: before?.state.status ?? null, version, record: after };
    const keys = [KEYS.workers, KEYS.beats, KEYS.names, KEYS.events, KEYS.lock(workerId)];
    const told = await this.#evaluate(SWAP, keys, [
      workerId,
      before?.revision ?? 0,
      before === null ? '' : unlistedName(before),
      after === null ? '' : textOf(after),
      after === null ? '' : unlistedName(after),
      JSON.stringify(event),
      EVENTS_KEPT,
    ]);
    if (after === null) this.#unsent.delete(workerId);
    return told !== null;
  }

  async claim(name: string): Promise<number> {
    return Number(await this.#evaluate(CLAIM, [KEYS.names], [name]));
  }

  note(id: number, beat: Beat): void {
    this.#unsent.set(id, beat);
  }

  async lock(id: number, owner: string): Promise<boolean> {
    return (await this.#evaluate(LOCK, [KEYS.lock(id), KEYS.unsure], [owner])) === 1;
  }

  async renew(id: number, owner: string): Promise<boolean> {
    return (await this.#evaluate(RENEW, [KEYS.lock(id), KEYS.unsure], [owner])) === 1;
  }

  async unlock(id: number, owner: string): Promise<void> {
    await this.#evaluate(UNLOCK, [KEYS.lock(id)], [owner]);
  }

  async eventsAfter(id: string): Promise<readonly FleetEvent[] | null> {
    const [first, later] = await this.#ask((redis) =>
      Promise.all([redis.xrange(KEYS.events, '-', id, 'COUNT', 1), redis.xrange(KEYS.events, `(${id}`, '+')]),
    );
    // Without an older one we cannot know whether those between are still there.
    return first.length === 0 ? null : (later as Entries).map(eventOf);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sendBeats().catch(() => {});
    await this.#link.close();
  }

  #evaluate(script: string, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    return this.#ask((redis) => redis.eval(script, keys.length + 1, ...keys, KEYS.lastId, ...values));
  }

  async #ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const redis = this.#link.commands;
    if (redis === null) throw new StoreAway();
    try {
      return await question(redis);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith(EMPTIED)) this.#link.drop(error);
      // One that refuses to write (full, a replica, loading) is named; one that is gone was named already.
      else if (this.available()) this.#log.error('Redis refuses', { error: String(error) });
      throw new StoreAway(error);
    }
  }

  async #enter(redis: Redis): Promise<void> {
    const before = this.now();
    const wasThere = this.#clockSetAt !== 0;
    await this.#setClock(redis);
    if (wasThere) this.#log.info('Redis answers again', { clockDifference: this.now() - before });
    const run = /^run_id:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
    const keys = [KEYS.lastId, KEYS.run, KEYS.unsure, KEYS.workers, KEYS.names, KEYS.events, KEYS.news];
    const known = [...this.#records.values()];
    const lastId = Math.max(FIRST_UNLISTED - 1, ...known.map(({ id }) => id));
    const enter = async (records: readonly WorkerRecord[]): Promise<string[]> => {
      const restored = records.flatMap((record) => [record.id, unlistedName(record), textOf(record)]);
      const ours = [run, lastId, known.length > 0 ? 1 : 0, ...restored];
      return (await redis.eval(ENTER, keys.length, ...keys, ...ours)) as string[];
    };
    let [found, events = '0-0', news = '0-0'] = await enter([]);
    if (found === 'lost') {
      this.#log.warn('Redis has lost what it knew: it is told again', { workers: known.length });
      [found, events = '0-0', news = '0-0'] = await enter(known);
    }
    const loaded = await load(redis);
    // Events that came while we were away are still told, if they are there.
    const start = this.#cursors.events;
    const gone = start === '' || (await redis.xrange(KEYS.events, start, start)).length === 0;
    this.#cursors = { events: gone ? events : start, news };
    this.#records.clear();
    for (const record of loaded.records) this.#records.set(record.id, record);
    if (this.#listener === null) this.#loaded = loaded;
    else this.#listener.returned(loaded, !gone);
  }

  /** Waits for news and passes it on; also keeps the clock, and sees whether what we told is still there. */
  async #readNews(reader: Redis): Promise<void> {
    if (performance.now() - this.#clockSetAt > CLOCK_PAUSE) await this.#followClock(reader);
    const { events, news } = this.#cursors;
    const streams = ['STREAMS', KEYS.events, KEYS.news, events, news] as const;
    const found = await reader.xread('COUNT', AT_ONCE, 'BLOCK', NEWS_PAUSE, ...streams);
    for (const [stream, entries] of (found ?? []) as [string, Entries][]) {
      const last = entries.at(-1)?.[0];
      if (last === undefined) continue;
      if (stream === KEYS.events) {
        this.#cursors.events = last;
        for (const entry of entries) this.#tell(eventOf(entry));
      } else {
        this.#cursors.news = last;
        for (const [, fields] of entries) this.#takeNews(fields);
      }
    }
  }

  #tell(event: FleetEvent): void {
    if (event.record === null) this.#records.delete(event.workerId);
    else this.#records.set(event.workerId, event.record);
    this.#listener?.event(event);
  }

  #takeNews([, from, , text = '[]']: readonly string[]): void {
    if (from === this.#self) return;
    const told = JSON.parse(text) as readonly (readonly [number, ShortBeat])[];
    this.#listener?.beats(new Map(told.map(([id, beat]) => [id, beatOf(beat)])));
  }

  async #sendBeats(): Promise<void> {
    const redis = this.#link.commands;
    if (redis === null || this.#unsent.size === 0) return;
    const beats = [...this.#unsent].map(([id, beat]) => [id, shortBeat(beat)] as const);
    this.#unsent = new Map();
    const pipeline = redis.pipeline();
    for (let start = 0; start < beats.length; start += AT_ONCE) {
      const some = beats.slice(start, start + AT_ONCE);
      pipeline.hset(KEYS.beats, ...some.flatMap(([id, beat]) => [id, JSON.stringify(beat)]));
      pipeline.xadd(KEYS.news, 'MAXLEN', '~', NEWS_KEPT, '*', 'from', this.#self, 'beats', JSON.stringify(some));
    }
    await pipeline.exec();
  }

  async #setClock(redis: Redis): Promise<void> {
    const asked = performance.now();
    const [seconds, micros] = (await redis.time()).map(Number);
    const answered = performance.now();
    this.#zero = (seconds ?? 0) * 1_000 + (micros ?? 0) / 1_000 - (asked + answered) / 2;
    this.#clockSetAt = answered;
  }

  /** If somebody set the clock of Redis' machine, it is as if we had been away: nobody was silent for that long. */
  async #followClock(redis: Redis): Promise<void> {
    const before = this.#zero;
    await this.#setClock(redis);
    if ((await redis.exists(KEYS.lastId)) === 0) throw new Error('what was kept in Redis is gone');
    if (Math.abs(this.#zero - before) < CLOCK_STEP) return;
    this.#log.warn('the clock of Redis was set', { difference: Math.round(this.#zero - before) });
    this.#listener?.returned(await load(redis), true);
  }
}

async function load(redis: Redis): Promise<Loaded> {
  const [records, beats] = await Promise.all([redis.hvals(KEYS.workers), redis.hgetall(KEYS.beats)]);
  return {
    records: records.map(recordOf),
    beats: new Map(Object.entries(beats).map(([id, text]) => [Number(id), beatOf(JSON.parse(text) as ShortBeat)])),
  };
}

/** Those of the inventory have their names from there. */
function unlistedName({ id, name }: WorkerRecord): string {
  return id >= FIRST_UNLISTED ? name : '';
}

/** The revision stands in front, where a script finds it. */
function textOf(record: WorkerRecord): string {
  return `${record.revision} ${JSON.stringify(record)}`;
}

function recordOf(text: string): WorkerRecord {
  return JSON.parse(text.slice(text.indexOf(' ') + 1)) as WorkerRecord;
}

function eventOf([id, [, text = '']]: Entries[number]): FleetEvent {
  return { id, ...(JSON.parse(text) as Omit<FleetEvent, 'id'>) };
}

function shortBeat({ at, version, cpu, memory }: Beat): ShortBeat {
  return [at, version, cpu, memory];
}

function beatOf([at, version, cpu, memory]: ShortBeat): Beat {
  return { at, version, cpu, memory };
}
