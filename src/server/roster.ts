import type { Inventory, Worker } from '../domain/inventory.ts';
import {
  advance,
  NEW_WORKER,
  OFFLINE_AFTER,
  type Reach,
  type WorkerEvent,
  type WorkerState,
} from '../domain/worker-state.ts';
import type { Log } from '../effects/log.ts';
import type { AgentUpdater } from './agent-updater.ts';
import { follow } from './following.ts';
import {
  FIRST_UNLISTED,
  StoreAway,
  type Beat,
  type FleetEvent,
  type Loaded,
  type Store,
  type WorkerRecord,
} from './store.ts';

/** The main server itself. */
export const LOCAL_ID = 1;

/** Agents that may register without being in the inventory: more would be an attack. */
const MOST_UNLISTED = 20_000;
/** Milliseconds between two looks at who is silent. */
const SWEEP = 1_000;
/** When that look is so late, the machine or we stood still, and nobody could be heard meanwhile. */
const STOOD_STILL = 3_000;
/** An update that no server seems to run is asked for again after so many looks. */
const ORPHAN_SWEEPS = 20;
/** Rounds of a change that others are faster with. */
const ROUNDS = 8;

/** A worker as this server sees it. */
export interface Entry {
  readonly id: number;
  name: string;
  /** As declared; null for the main server itself and for those that only registered. */
  worker: Worker | null;
  /** Null until something was concluded about it. */
  record: WorkerRecord | null;
  beat: Beat | null;
  /** Changes are made one after the other. */
  changing: Promise<void> | null;
  /** It was removed. */
  gone: boolean;
}

export interface RosterOptions {
  readonly store: Store;
  readonly log: Log;
  /** The version that agents are to have, to begin with; null if nothing is asked for. */
  readonly wanted: string | null;
  /** The name of the main server's own agent; null: the first local one that registers. */
  readonly localName: string | null;
  /** Null: agents elsewhere cannot be updated from here. */
  readonly updater: AgentUpdater | null;
  /** Whether the stack may still go back to another version. */
  readonly held: () => Promise<boolean>;
}

/** Somebody who wants to hear of every change. */
export interface RosterListener {
  event(event: FleetEvent): void;
  /** Events were lost: nobody knows what was in them. */
  gap(): void;
}

/** Everybody who works for this product, and what becomes of them. */
export class Roster {
  /** The version that agents are to have. */
  wanted: string | null;
  /** Since the start of this server. */
  readonly counts = { heartbeats: 0, updates: 0, failedUpdates: 0 };
  readonly #options: RosterOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #byName = new Map<string, Entry>();
  readonly #listeners = new Set<RosterListener>();
  readonly #closing = new AbortController();
  #hearingSince = 0;
  #lastSweep = performance.now();
  /** Whether nobody may follow now. What we did not look at lately counts as yes. */
  #held = true;
  /** Ids of the workers whose agents this server is updating. */
  readonly #following = new Set<number>();
  #sweeps = 0;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: RosterOptions) {
    this.#options = options;
    this.wanted = options.wanted;
  }

  /** Takes over what the store knows and begins to look after it. */
  async open(inventory: Inventory): Promise<void> {
    const { store } = this.#options;
    const loaded = await store.open({
      event: (event) => this.#hear(event),
      beats: (beats) => {
        for (const [id, beat] of beats) this.#takeBeat(id, beat);
      },
      returned: (again, whole) => this.#returned(again, whole),
    });
    this.#takeOver(loaded);
    this.declare(inventory);
    this.#hearingSince = store.now();
    await this.#restartUpdates();
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP).unref();
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#closing.abort();
  }

  /** Tells each event from now on; returns how to stop that. */
  listen(listener: RosterListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  find(id: number): Entry | undefined {
    return this.#entries.get(id);
  }

  named(name: string): Entry | undefined {
    return this.#byName.get(name);
  }

  all(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => a.id - b.id);
  }

  /** The inventory as it is now. Who is no longer in it is forgotten. */
  declare({ workers }: Inventory): void {
    const declared = new Set(workers.map(({ id }) => id));
    for (const worker of workers) {
      const entry = this.#entries.get(worker.id) ?? this.#add(worker.id, worker.name);
      entry.worker = worker;
      this.#rename(entry, worker.name);
    }
    for (const entry of this.#entries.values()) {
      if (entry.id >= FIRST_UNLISTED || declared.has(entry.id) || (entry.id === LOCAL_ID && entry.worker === null))
        continue;
      this.#drop(entry);
      if (entry.record !== null) void this.#forget(entry).catch((error: unknown) => this.#complain(entry, error));
    }
  }

  /** The id for a name: the same each time. Null where too many have registered. */
  async register(name: string, local: boolean): Promise<{ readonly entry: Entry; readonly created: boolean } | null> {
    const known = this.#byName.get(name);
    if (known !== undefined && (known.worker !== null || known.record !== null))
      return { entry: known, created: false };
    const { store } = this.#options;
    const own = local && this.#isOwn(name);
    if (!own && this.#entries.size >= MOST_UNLISTED) return null;
    const id = own ? LOCAL_ID : await store.claim(name);
    const entry = this.#entries.get(id) ?? this.#add(id, name);
    const created = entry.record === null;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = entry.record;
      if (before !== null && before.name === name && before.local === local) return { entry, created };
      const after = { id, name, local, revision: (before?.revision ?? 0) + 1, state: before?.state ?? NEW_WORKER };
      if (await this.#swap(entry, before, after)) return { entry, created };
    }
    throw new StoreAway('too many changes at once');
  }

  /** Forgets a worker that is in no inventory. */
  async remove(entry: Entry): Promise<void> {
    await this.#forget(entry);
    this.#drop(entry);
  }

  /** Takes a heartbeat. A promise only where it changes the worker's state: the usual one changes nothing. */
  heartbeat(entry: Entry, version: string | null, cpu: number, memory: number): Promise<void> | null {
    const { store } = this.#options;
    const at = store.now();
    const beat = (entry.beat ??= { at, version, cpu, memory });
    beat.at = at;
    beat.version = version;
    beat.cpu = cpu;
    beat.memory = memory;
    this.counts.heartbeats += 1;
    store.note(entry.id, beat);
    const event = this.#heartbeatEvent(entry, at, version);
    if (entry.changing === null) {
      const state = stateOf(entry);
      const outcome = advance(state, event);
      if (outcome.state === state && outcome.update === null) return null;
    }
    return this.#apply(entry, event);
  }

  /** Whether an agent of this version is to be replaced. */
  needsUpdate(version: string | null): boolean {
    return version !== null && this.wanted !== null && version !== this.wanted;
  }

  #heartbeatEvent(entry: Entry, at: number, version: string | null): WorkerEvent {
    const { wanted } = this;
    return { type: 'heartbeat', at, version, wanted, reach: this.#reach(entry), held: this.#held };
  }

  #reach(entry: Entry): Reach {
    if (entry.worker !== null && this.#options.updater !== null) return 'ssh';
    return entry.id === LOCAL_ID || entry.record?.local === true ? 'local' : 'unlisted';
  }

  #isOwn(name: string): boolean {
    const { localName } = this.#options;
    if (localName !== null) return name === localName;
    const own = this.#entries.get(LOCAL_ID);
    return own === undefined || own.name === name;
  }

  /** Lets an event happen to a worker, after those that are under way. */
  #apply(entry: Entry, event: WorkerEvent): Promise<void> {
    const before = entry.changing ?? Promise.resolve();
    const work = before
      .catch(() => {})
      .then(() => this.#transit(entry, event))
      .finally(() => {
        if (entry.changing === work) entry.changing = null;
      });
    entry.changing = work;
    return work;
  }

  async #transit(entry: Entry, event: WorkerEvent): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = entry.record;
      const state = stateOf(entry);
      const { state: next, update } = advance(state, event);
      if (next === state && update === null) return;
      const { id, name } = entry;
      const local = before?.local ?? (id === LOCAL_ID && entry.worker === null);
      const after = { id, name, local, revision: (before?.revision ?? 0) + 1, state: next };
      if (await this.#swap(entry, before, after)) {
        this.#tell(entry, state, next);
        if (update !== null) void this.#follow(entry, update);
        return;
      }
      if (this.#entries.get(id) !== entry) return;
    }
    throw new StoreAway('too many changes at once');
  }

  async #swap(entry: Entry, before: WorkerRecord | null, after: WorkerRecord | null): Promise<boolean> {
    const { store } = this.#options;
    const { id: workerId, name } = entry;
    const version = entry.beat?.version ?? null;
    const swapped = await store.swap({ workerId, before, after, name, version, at: store.now() });
    entry.record = swapped ? after : await store.read(workerId);
    if (after !== null && swapped) this.#rename(entry, after.name);
    return swapped;
  }

  async #forget(entry: Entry): Promise<void> {
    for (let round = 0; round < ROUNDS && entry.record !== null; round += 1) {
      if (await this.#swap(entry, entry.record, null)) return;
    }
  }

  /** Brings a worker's agent to a version, if nobody else is at it. What goes wrong becomes its reason. */
  async #follow(entry: Entry, version: string): Promise<void> {
    const { store, updater, log } = this.#options;
    const { worker, id, name } = entry;
    if (worker === null || updater === null) return;
    const begun = (): void => {
      this.#following.add(id);
      this.counts.updates += 1;
      log.info('agent update begins', { worker: id, name, version });
    };
    try {
      const closing = this.#closing.signal;
      const followed = await follow(worker, version, { store, updater, closing, begun, heard: () => entry.beat });
      if (followed.end === 'done') log.info('agent update done', { worker: id, name, version });
      if (followed.end === 'busy') await this.#apply(entry, { type: 'update-busy', at: store.now() });
      if (followed.end === 'failed') {
        const { reason } = followed;
        this.counts.failedUpdates += 1;
        log.warn('agent update failed', { worker: id, name, version, reason: reason.en });
        await this.#apply(entry, { type: 'update-failed', at: store.now(), target: version, reason });
      }
    } catch (error) {
      this.#complain(entry, error);
    } finally {
      this.#following.delete(id);
    }
  }

  /** Who is silent, and whose update takes too long. */
  async #sweep(): Promise<void> {
    const { store } = this.#options;
    const late = performance.now() - this.#lastSweep;
    this.#lastSweep = performance.now();
    const at = store.now();
    if (!store.available() || late > STOOD_STILL) this.#hearingSince = at;
    if (!store.available()) return;
    await this.#lookAtHold();
    this.#sweeps += 1;
    // Another server may have died over an update: whoever gets the lock goes on with it.
    if (this.#sweeps % ORPHAN_SWEEPS === 0)
      await this.#restartUpdates().catch((error: unknown) => this.#complainOfAll(error));
    for (const entry of this.#entries.values()) {
      const { status, deadline } = stateOf(entry);
      const quiet = this.#heard(entry);
      const due =
        (status === 'updating' && at >= deadline) ||
        ((status === 'online' || status === 'outdated') && quiet !== null && at - quiet >= OFFLINE_AFTER);
      if (!due || entry.changing !== null) continue;
      const event: WorkerEvent = { type: 'tick', at, heard: quiet };
      await this.#apply(entry, event).catch((error: unknown) => this.#complain(entry, error));
    }
  }

  #heard(entry: Entry): number | null {
    if (entry.record === null) return null;
    return Math.max(entry.beat?.at ?? 0, this.#hearingSince);
  }

  /** The journal is read only while somebody waits to follow. */
  async #lookAtHold(): Promise<void> {
    try {
      this.#held = this.#someoneWaits() ? await this.#options.held() : true;
    } catch (error) {
      this.#held = true;
      this.#options.log.error('the journal of the project cannot be read', { error: String(error) });
    }
  }

  #someoneWaits(): boolean {
    const since = this.#options.store.now() - OFFLINE_AFTER;
    for (const entry of this.#entries.values()) {
      const { beat, id } = entry;
      if (beat === null || beat.at < since || this.#following.has(id)) continue;
      if (this.needsUpdate(beat.version) && this.#reach(entry) === 'ssh') return true;
    }
    return false;
  }

  async #restartUpdates(): Promise<void> {
    const at = this.#options.store.now();
    for (const entry of this.#entries.values()) {
      const { status, nextTry } = stateOf(entry);
      if (status === 'updating' && nextTry === 0 && !this.#following.has(entry.id))
        await this.#apply(entry, { type: 'restarted', at });
    }
  }

  #returned(loaded: Loaded, whole: boolean): void {
    this.#hearingSince = this.#options.store.now();
    this.#takeOver(loaded);
    if (!whole) for (const listener of this.#listeners) listener.gap();
  }

  #takeOver({ records, beats }: Loaded): void {
    const there = new Set(records.map(({ id }) => id));
    for (const entry of this.#entries.values()) {
      if (entry.record === null || there.has(entry.id)) continue;
      entry.record = null;
      if (entry.worker === null) this.#drop(entry);
    }
    for (const record of records) {
      const entry = this.#entries.get(record.id);
      // What is kept is the truth, also if it is older than what we saw.
      if (entry !== undefined) entry.record = null;
      this.#takeRecord(record);
    }
    for (const [id, beat] of beats) this.#takeBeat(id, beat);
  }

  #hear(event: FleetEvent): void {
    const { workerId, record } = event;
    const entry = this.#entries.get(workerId);
    if (record !== null) this.#takeRecord(record);
    else if (entry !== undefined) {
      entry.record = null;
      entry.beat = null;
      if (entry.worker === null) this.#drop(entry);
    }
    for (const listener of this.#listeners) listener.event(event);
  }

  #takeRecord(record: WorkerRecord): void {
    const entry = this.#entries.get(record.id) ?? this.#add(record.id, record.name);
    if (entry.record !== null && entry.record.revision >= record.revision) return;
    entry.record = record;
    if (entry.worker === null) this.#rename(entry, record.name);
  }

  #takeBeat(id: number, beat: Beat): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined && (entry.beat === null || entry.beat.at < beat.at)) entry.beat = beat;
  }

  #add(id: number, name: string): Entry {
    const entry: Entry = { id, name, worker: null, record: null, beat: null, changing: null, gone: false };
    this.#entries.set(id, entry);
    if (!this.#byName.has(name)) this.#byName.set(name, entry);
    return entry;
  }

  #rename(entry: Entry, name: string): void {
    if (this.#byName.get(entry.name) === entry) this.#byName.delete(entry.name);
    entry.name = name;
    // A declared worker comes before one that took its name.
    const other = this.#byName.get(name);
    if (other === undefined || other.worker === null) this.#byName.set(name, entry);
  }

  #drop(entry: Entry): void {
    entry.gone = true;
    this.#entries.delete(entry.id);
    if (this.#byName.get(entry.name) === entry) this.#byName.delete(entry.name);
  }

  #tell(entry: Entry, from: WorkerState, to: WorkerState): void {
    if (from.status === to.status) return;
    const facts = { worker: entry.id, name: entry.name, from: from.status, to: to.status, reason: to.reason?.en };
    this.#options.log.info('worker state', { ...facts, version: entry.beat?.version ?? null });
  }

  #complainOfAll(error: unknown): void {
    if (!(error instanceof StoreAway)) this.#options.log.error('a change of state failed', { error: String(error) });
  }

  #complain(entry: Entry, error: unknown): void {
    if (error instanceof StoreAway) return;
    this.#options.log.error('a change of state failed', { worker: entry.id, error: String(error) });
  }
}

export function stateOf(entry: Entry): WorkerState {
  return entry.record?.state ?? NEW_WORKER;
}
