import { join } from 'node:path';
import * as z from 'zod';
import { appendLine, makeFolder, readText, writeFileAtomic } from '../effects/files.ts';
import type { Log } from '../effects/log.ts';
import {
  compareEventIds,
  EVENTS_KEPT,
  FIRST_UNLISTED,
  LOCK_SECONDS,
  StoreAway,
  type Beat,
  type Change,
  type FleetEvent,
  type Store,
  type StoreListener,
  type WorkerRecord,
} from './store.ts';

/** Milliseconds between two snapshots, if anything changed. */
const SNAPSHOT_PAUSE = 30_000;
/** Events in a snapshot: for those who come back after a restart. */
const EVENTS_IN_SNAPSHOT = 500;

interface Snapshot {
  readonly schema: 'xingrin-server/v1';
  /** Events up to this one are in it. */
  readonly lastEvent: string;
  readonly lastId: number;
  readonly records: readonly WorkerRecord[];
  readonly beats: readonly (readonly [number, Beat])[];
  readonly locks: readonly (readonly [number, Lock])[];
  readonly events: readonly FleetEvent[];
}

interface Lock {
  readonly owner: string;
  readonly until: number;
}

/** What we wrote ourselves: only its outline is checked. */
const outline = z.looseObject({ schema: z.literal('xingrin-server/v1'), records: z.array(z.unknown()) });

/**
 * Keeps everything in memory, and in two files so that a restart knows it again: a snapshot that is replaced as a whole, and behind
 * it a line for each event since. Heartbeats that change nothing are only in snapshots.
 */
export class EmbeddedStore implements Store {
  readonly kind = 'embedded';
  readonly #snapshotPath: string;
  readonly #journalPath: string;
  readonly #folder: string;
  readonly #log: Log;
  readonly #zero = Date.now() - performance.now();
  readonly #records = new Map<number, WorkerRecord>();
  readonly #beats = new Map<number, Beat>();
  readonly #locks = new Map<number, Lock>();
  #events: FleetEvent[] = [];
  #names = new Map<string, number>();
  #lastId = FIRST_UNLISTED - 1;
  #lastEvent = '0-0';
  #listener: StoreListener | null = null;
  #unsaved = false;
  #lines: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#snapshotPath = join(folder, 'state.json');
    this.#journalPath = join(folder, 'events.jsonl');
    this.#log = log;
  }

  available(): boolean {
    return true;
  }

  now(): number {
    return Math.round(this.#zero + performance.now());
  }

  async open(listener: StoreListener): Promise<{ records: WorkerRecord[]; beats: Map<number, Beat> }> {
    await makeFolder(this.#folder, 0o700);
    await this.#load();
    this.#listener = listener;
    this.#timer = setInterval(() => {
      if (this.#unsaved) void this.#save();
    }, SNAPSHOT_PAUSE).unref();
    return { records: [...this.#records.values()], beats: new Map(this.#beats) };
  }

  async read(id: number): Promise<WorkerRecord | null> {
    return this.#records.get(id) ?? null;
  }

  async swap({ workerId, before, after, name, version, at }: Change): Promise<boolean> {
    const current = this.#records.get(workerId) ?? null;
    if ((current?.revision ?? 0) !== (before?.revision ?? 0)) return false;
    const from = current?.state.status ?? null;
    const event = { id: this.#nextEventId(at), at, workerId, name, from, version, record: after };
    this.#take(event);
    this.#lines.push(JSON.stringify(event));
    const written = this.#flush();
    this.#listener?.event(event);
    // A registration that we confirm must outlive us; any other change will be concluded again from the next heartbeat.
    if (before === null || after === null) await written;
    return true;
  }

  async claim(name: string): Promise<number> {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#lastId += 1;
    this.#names.set(name, this.#lastId);
    return this.#lastId;
  }

  note(id: number, beat: Beat): void {
    this.#beats.set(id, beat);
    this.#unsaved = true;
  }

  async lock(id: number, owner: string): Promise<boolean> {
    const held = this.#locks.get(id);
    if (held !== undefined && held.until > this.now()) return false;
    await this.#hold(id, owner);
    return true;
  }

  async renew(id: number, owner: string): Promise<boolean> {
    const held = this.#locks.get(id);
    if (held === undefined || held.owner !== owner || held.until <= this.now()) return false;
    await this.#hold(id, owner);
    return true;
  }

  async unlock(id: number, owner: string): Promise<void> {
    if (this.#locks.get(id)?.owner !== owner) return;
    this.#locks.delete(id);
    await this.#save();
  }

  async eventsAfter(id: string): Promise<readonly FleetEvent[] | null> {
    const oldest = this.#events[0];
    const complete = oldest === undefined ? id === this.#lastEvent : compareEventIds(oldest.id, id) <= 0;
    if (!complete && compareEventIds(id, this.#lastEvent) < 0) return null;
    return this.#events.filter((event) => compareEventIds(event.id, id) > 0);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#save();
  }

  /** A lock that a restart would not find is none. */
  async #hold(id: number, owner: string): Promise<void> {
    this.#locks.set(id, { owner, until: this.now() + LOCK_SECONDS * 1_000 });
    try {
      await this.#save();
    } catch (error) {
      this.#locks.delete(id);
      throw error;
    }
  }

  #nextEventId(at: number): string {
    const [time, number] = this.#lastEvent.split('-').map(Number);
    return at > (time ?? 0) ? `${at}-0` : `${time ?? 0}-${(number ?? 0) + 1}`;
  }

  #take(event: FleetEvent): void {
    const { workerId, record } = event;
    const known = this.#records.get(workerId);
    if (known !== undefined) this.#names.delete(known.name);
    if (record === null) {
      this.#records.delete(workerId);
      this.#beats.delete(workerId);
      this.#locks.delete(workerId);
    } else {
      this.#records.set(workerId, record);
      if (workerId >= FIRST_UNLISTED) this.#names.set(record.name, workerId);
    }
    this.#lastId = Math.max(this.#lastId, workerId);
    this.#lastEvent = event.id;
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT * 1.2) this.#events = this.#events.slice(-EVENTS_KEPT);
    this.#unsaved = true;
  }

  /** Writes what has gathered, one write after the other; many changes at once become one. */
  #flush(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        const count = this.#lines.length;
        if (count === 0) return;
        try {
          await appendLine(this.#journalPath, this.#lines.join('\n'), { mode: 0o600 });
          this.#lines.splice(0, count);
        } catch (error) {
          throw this.#away(error);
        }
      });
    // Whoever needs to know waits for it; nobody else must stumble over it.
    this.#writing.catch(() => {});
    return this.#writing;
  }

  #save(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => {})
      .then(async () => {
        this.#unsaved = false;
        const snapshot: Snapshot = {
          schema: 'xingrin-server/v1',
          lastEvent: this.#lastEvent,
          lastId: this.#lastId,
          records: [...this.#records.values()],
          beats: [...this.#beats],
          locks: [...this.#locks].filter(([, { until }]) => until > this.now()),
          events: this.#events.slice(-EVENTS_IN_SNAPSHOT),
        };
        const included = this.#lines.length;
        try {
          await writeFileAtomic(this.#snapshotPath, `${JSON.stringify(snapshot)}\n`, { mode: 0o600 });
          this.#lines.splice(0, included);
          // If we die here, what is in the snapshot stands in the journal as well; it does not count twice.
          const later = this.#lines.length;
          const text = this.#lines.map((line) => `${line}\n`).join('');
          await writeFileAtomic(this.#journalPath, text, { mode: 0o600 });
          this.#lines.splice(0, later);
        } catch (error) {
          this.#unsaved = true;
          throw this.#away(error);
        }
      });
    this.#writing.catch(() => {});
    return this.#writing;
  }

  #away(error: unknown): StoreAway {
    this.#log.error('the state cannot be written', { error: String(error), folder: this.#folder });
    return new StoreAway(error);
  }

  async #load(): Promise<void> {
    const text = await readText(this.#snapshotPath);
    const snapshot = text === null ? null : this.#parse(text);
    if (snapshot !== null) {
      for (const record of snapshot.records) this.#records.set(record.id, record);
      for (const [id, beat] of snapshot.beats) this.#beats.set(id, beat);
      for (const [id, lock] of snapshot.locks) this.#locks.set(id, lock);
      for (const { id, name } of snapshot.records) if (id >= FIRST_UNLISTED) this.#names.set(name, id);
      this.#events = [...snapshot.events];
      this.#lastEvent = snapshot.lastEvent;
      this.#lastId = Math.max(this.#lastId, snapshot.lastId);
    } else if (text !== null) {
      // Agents that we no longer know register again; what stood there is kept for whoever wants to look.
      await writeFileAtomic(`${this.#snapshotPath}.damaged`, text, { mode: 0o600 });
      this.#log.error('the state was damaged and is put aside', { file: `${this.#snapshotPath}.damaged` });
    }
    const lines = ((await readText(this.#journalPath)) ?? '').split('\n').slice(0, -1);
    for (const line of lines) {
      const event = eventOf(line);
      if (event !== null && compareEventIds(event.id, this.#lastEvent) > 0) this.#take(event);
    }
    // A torn last line must not swallow the next one.
    await this.#save();
  }

  #parse(text: string): Snapshot | null {
    try {
      const document: unknown = JSON.parse(text);
      return outline.safeParse(document).success ? (document as Snapshot) : null;
    } catch {
      return null;
    }
  }
}

/** An event that a power cut tore did not happen. */
function eventOf(line: string): FleetEvent | null {
  try {
    return JSON.parse(line) as FleetEvent;
  } catch {
    return null;
  }
}
