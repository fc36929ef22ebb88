import type { Stream } from '../effects/transport.ts';
import type { Terminal } from '../effects/terminal.ts';
import type { Json } from '../plan/plan.ts';

/** Where goes what a task writes. */
export interface Output {
  readonly take: (bytes: Uint8Array, stream: Stream) => void;
  /** What was kept for a document; nothing of what went to a terminal. */
  data(): { readonly [key: string]: Json };
}

/** Bytes of each stream that a document takes at most. */
const LARGEST = 16 * 1024 * 1024;

/** @param terminal null to keep it for the document */
export function openOutput(terminal: Terminal | null): Output {
  if (terminal !== null) return { take: (bytes, stream) => terminal.pass(bytes, stream), data: () => ({}) };
  const kept = { stdout: new Keeper(), stderr: new Keeper() };
  return {
    take: (bytes, stream) => kept[stream].take(bytes),
    data: () => ({
      stdout: kept.stdout.text(),
      stderr: kept.stderr.text(),
      truncated: kept.stdout.truncated || kept.stderr.truncated,
    }),
  };
}

/** Keeps the beginning of a stream. */
class Keeper {
  readonly #pieces: Uint8Array[] = [];
  #size = 0;
  truncated = false;

  take(bytes: Uint8Array): void {
    const room = LARGEST - this.#size;
    if (bytes.length > room) this.truncated = true;
    const piece = bytes.slice(0, room);
    if (piece.length > 0) this.#pieces.push(piece);
    this.#size += piece.length;
  }

  text(): string {
    return Buffer.concat(this.#pieces).toString('utf8');
  }
}
