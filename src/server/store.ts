import type { WorkerState, WorkerStatus } from '../domain/worker-state.ts';

/** What is kept about a worker: who it is, and what was concluded about it. */
export interface WorkerRecord {
  readonly id: number;
  readonly name: string;
  readonly local: boolean;
  /** Counts the changes; the first record has 1. */
  readonly revision: number;
  readonly state: WorkerState;
}

/**
 * What the last heartbeat said, and when it came (the store's clock, milliseconds). The next one overwrites it: thousands come each second,
 * and what lives for a second is the dearest garbage.
 */
export interface Beat {
  at: number;
  /** Null if the agent does not know its version. */
  version: string | null;
  /** Percent. */
  cpu: number;
  memory: number;
}

/** One change of a worker's state, as it is told to everybody who listens. */
export interface FleetEvent {
  /** Grows with each event: milliseconds, a dash, a number. */
  readonly id: string;
  readonly at: number;
  readonly workerId: number;
  readonly name: string;
  /** Null for a worker that was not known before. */
  readonly from: WorkerStatus | null;
  readonly version: string | null;
  /** Null: it was removed. */
  readonly record: WorkerRecord | null;
}

/** A change to make, together with the event that tells of it. */
export interface Change {
  readonly workerId: number;
  readonly before: WorkerRecord | null;
  /** Null removes it. */
  readonly after: WorkerRecord | null;
  /** For the event: the name, and the version as last heard. */
  readonly name: string;
  readonly version: string | null;
  readonly at: number;
}

export interface Loaded {
  readonly records: readonly WorkerRecord[];
  readonly beats: ReadonlyMap<number, Beat>;
}

export interface StoreListener {
  /** Something changed, by us or by another server on the same store. */
  event(event: FleetEvent): void;
  /** Heartbeats that other servers took. */
  beats(beats: ReadonlyMap<number, Beat>): void;
  /** The store was away, and is there again with this. `whole`: every event that was missed is still told. */
  returned(loaded: Loaded, whole: boolean): void;
}

/** The store does not answer; whoever asked may ask again in a moment. */
export class StoreAway extends Error {
  constructor(cause?: unknown) {
    super('the store does not answer', { cause });
    this.name = 'StoreAway';
  }
}

/**
 * Where the control plane keeps what it knows. Every method but `available`, `now`, `note` and `close` throws {@link StoreAway} while
 * the store cannot be reached; nothing was changed then, or it was and nobody was told.
 */
export interface Store {
  readonly kind: 'embedded' | 'redis';
  available(): boolean;
  /** Milliseconds since 1970, the same for every server on this store, untouched by whoever sets this machine's clock. */
  now(): number;
  open(listener: StoreListener): Promise<Loaded>;
  read(id: number): Promise<WorkerRecord | null>;
  /** Replaces a record if it still has the revision of `before`, and tells the event; false if somebody else was faster. */
  swap(change: Change): Promise<boolean>;
  /** The id for a name that is in no inventory: the same each time, from {@link FIRST_UNLISTED} on. */
  claim(name: string): Promise<number>;
  /** Keeps a heartbeat, soon and as it is then: the next one would replace it anyway. */
  note(id: number, beat: Beat): void;
  /** Takes the right to update a worker for {@link LOCK_SECONDS}; false if somebody has it. */
  lock(id: number, owner: string): Promise<boolean>;
  /** Keeps it for as long again; false if it is no longer ours. */
  renew(id: number, owner: string): Promise<boolean>;
  /** Gives it back, if it is still ours. */
  unlock(id: number, owner: string): Promise<void>;
  /** Events after this one, oldest first; null if it is older than what is kept. */
  eventsAfter(id: string): Promise<readonly FleetEvent[] | null>;
  close(): Promise<void>;
}

export const FIRST_UNLISTED = 1_000_001;
export const LOCK_SECONDS = 60;
/** Events that are kept for those who come back. */
export const EVENTS_KEPT = 5_000;

/** By their numbers: an id that has not this form stands before all others. */
export function compareEventIds(a: string, b: string): number {
  const [one, other] = [partsOf(a), partsOf(b)];
  return one[0] - other[0] || one[1] - other[1];
}

export function isEventId(text: string): boolean {
  return /^\d{1,15}-\d{1,15}$/.test(text);
}

function partsOf(id: string): [number, number] {
  const [, time = '0', number = '0'] = /^(\d+)-(\d+)$/.exec(id) ?? [];
  return [Number(time), Number(number)];
}
