import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { appendLine, cutTornLine, listFolder, makeFolder, readText, remove } from '../effects/files.ts';
import type { Json, Plan, StepStatus } from '../plan/plan.ts';

type Entry =
  | { readonly type: 'begin'; readonly id: string; readonly at: string; readonly plan: Plan; readonly process: string }
  | { readonly type: 'resume'; readonly process: string }
  | { readonly type: 'start'; readonly step: number; readonly memo: Json }
  | { readonly type: 'done'; readonly step: number; readonly outcome: 'done' | 'unchanged' }
  | { readonly type: 'failed'; readonly step: number; readonly message: string }
  | { readonly type: 'undone'; readonly step: number }
  | { readonly type: 'end'; readonly outcome: Outcome };

/** `done`: the new state is true. `undone`: the old state is true again. `abandoned`: somebody said to leave it in between. */
export type Outcome = 'done' | 'undone' | 'abandoned';

/** An operation as its journal tells it. */
export interface Operation {
  readonly id: string;
  /** When it began, ISO 8601. */
  readonly at: string;
  readonly plan: Plan;
  /** By step number: where it got to, and what its undo needs. */
  readonly progress: ReadonlyMap<number, { readonly status: StepStatus; readonly memo: Json }>;
  readonly outcome: Outcome | null;
  /** Marks of the processes that worked on it, each found in the environment of that process's children. */
  readonly processes: readonly string[];
}

const KEPT = 50;

/** The journal of one operation: a line before and after every effect, on disk before the next thing happens. */
export class Journal {
  readonly id: string;
  readonly #path: string;

  private constructor(folder: string, id: string) {
    this.id = id;
    this.#path = join(folder, `${id}.jsonl`);
  }

  static async begin(folder: string, plan: Plan, process: string, now: Date): Promise<Journal> {
    await makeFolder(folder, 0o700);
    const stamp = now.toISOString().replace(/[-:]|\.\d+/g, '');
    const journal = new Journal(folder, `${stamp}-${randomBytes(3).toString('hex')}`);
    await journal.#write({ type: 'begin', id: journal.id, at: now.toISOString(), plan, process });
    // A clock that was set back would make our own the oldest.
    const others = (await listFolder(folder)).filter(
      (name) => name.endsWith('.jsonl') && name !== `${journal.id}.jsonl`,
    );
    const old = others.slice(0, 1 - KEPT);
    for (const name of old) await remove(join(folder, name));
    return journal;
  }

  /** Goes on with an interrupted operation's journal, as another process; what the last one did not write whole goes. */
  static async resume(folder: string, operation: Operation, process: string): Promise<Journal> {
    const journal = new Journal(folder, operation.id);
    await cutTornLine(journal.#path);
    await journal.#write({ type: 'resume', process });
    return journal;
  }

  start(step: number, memo: Json): Promise<void> {
    return this.#write({ type: 'start', step, memo });
  }
  done(step: number, outcome: 'done' | 'unchanged'): Promise<void> {
    return this.#write({ type: 'done', step, outcome });
  }
  failed(step: number, message: string): Promise<void> {
    return this.#write({ type: 'failed', step, message });
  }
  undone(step: number): Promise<void> {
    return this.#write({ type: 'undone', step });
  }
  end(outcome: Outcome): Promise<void> {
    return this.#write({ type: 'end', outcome });
  }

  #write(entry: Entry): Promise<void> {
    return appendLine(this.#path, JSON.stringify(entry), { mode: 0o600 });
  }
}

/** Operations that began and did not end, oldest first. Only meaningful while nobody holds the lock. */
export async function unfinishedOperations(folder: string): Promise<Operation[]> {
  const operations = await readOperations(folder);
  return operations.filter((operation) => operation.outcome === null);
}

async function readOperations(folder: string): Promise<Operation[]> {
  const names = (await listFolder(folder)).filter((name) => name.endsWith('.jsonl'));
  const texts = await Promise.all(names.map((name) => readText(join(folder, name))));
  return texts.map((text) => parseJournal(text ?? '')).filter((operation) => operation !== null);
}

/**
 * Reads a journal. A line that a full disk or a power cut tore did not happen: an effect waits until its line is on disk. A
 * journal without a whole first line is an operation that never began (null).
 */
export function parseJournal(text: string): Operation | null {
  const lines = text.split('\n').slice(0, -1);
  let begin: { id: string; at: string; plan: Plan } | null = null;
  let outcome: Outcome | null = null;
  const progress = new Map<number, { status: StepStatus; memo: Json }>();
  const processes: string[] = [];
  for (const line of lines) {
    const entry = entryIn(line);
    if (entry === null) continue;
    if (entry.type === 'begin' || entry.type === 'resume') processes.push(entry.process);
    if (entry.type === 'begin') begin = entry;
    else if (entry.type === 'resume') continue;
    else if (entry.type === 'end') outcome = entry.outcome;
    else if (entry.type === 'start') progress.set(entry.step, { status: 'pending', memo: entry.memo });
    else {
      const status = entry.type === 'done' ? entry.outcome : entry.type;
      progress.set(entry.step, { status, memo: progress.get(entry.step)?.memo ?? null });
    }
  }
  return begin === null ? null : { id: begin.id, at: begin.at, plan: begin.plan, progress, outcome, processes };
}

function entryIn(line: string): Entry | null {
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return null;
  }
}
