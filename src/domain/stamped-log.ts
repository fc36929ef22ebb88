/**
 * Where somebody is in a log whose every entry begins with a time stamp: so many bytes of what bears this stamp were read. All before
 * was read, too.
 */
export interface LogPosition {
  /** `2026-11-25T10:35:01.123456789Z` */
  readonly stamp: string;
  readonly bytes: number;
}

const STAMP_LENGTH = 'YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ'.length;
const HEAD_LENGTH = STAMP_LENGTH + 1;
/** The engine cuts a longer line into entries of this many bytes, all but the last without a line break, with one stamp for all. */
export const ENTRY_LIMIT = 16 * 1024;
const LINE_BREAK = 0x0a;
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z $/;

/**
 * Takes the time stamps out of one stream of `docker logs --timestamps`, so that what is left is, byte for byte, what the program wrote;
 * and knows where it is, so that after a broken connection the log can be read on from there, with nothing missing and nothing twice.
 */
export class StampedLog {
  /** What was read so far, over all connections. */
  #position: LogPosition | null = null;
  /** Until where this reading only repeats what was read before. */
  #known: LogPosition | null = null;
  /** Bytes of what bears `#stamp` that this reading has seen. */
  #seen = 0;
  #stamp = '';
  /** The beginning of a stamp whose end has not come yet. */
  #head: Uint8Array = new Uint8Array(0);
  /** Bytes of the entry so far; null where a stamp is due. */
  #entry: number | null = null;
  /** The stamp that is due may be missing, if the engine cuts lines elsewhere than today's. */
  #optional = false;
  /** In a line without a stamp: no program's output, but what the reader itself has to say. */
  #stray = false;

  /** Null before anything was read. */
  get position(): LogPosition | null {
    return this.#position;
  }

  /** A new reading begins, from the stamp of `position` or from anywhere before it. */
  restart(): void {
    this.#known = this.#position;
    this.#seen = 0;
    this.#stamp = '';
    this.#head = new Uint8Array(0);
    this.#entry = null;
    this.#optional = false;
    this.#stray = false;
  }

  /** What is new in the next piece of the log. */
  take(chunk: Uint8Array): Uint8Array[] {
    const fresh: Uint8Array[] = [];
    for (let rest = chunk; rest.length > 0;) {
      rest = this.#entry === null ? this.#takeHead(rest) : this.#takeEntry(rest, this.#entry, fresh);
    }
    return fresh;
  }

  /** Collects a stamp. */
  #takeHead(chunk: Uint8Array): Uint8Array {
    const wanted = HEAD_LENGTH - this.#head.length;
    const head = joined(this.#head, chunk.subarray(0, wanted));
    if (this.#optional && !isPrefix(head, this.#stamp)) {
      this.#head = new Uint8Array(0);
      this.#optional = false;
      this.#entry = 0;
      return joined(head, chunk.subarray(wanted));
    }
    this.#head = head;
    if (head.length < HEAD_LENGTH) return chunk.subarray(wanted);
    const text = new TextDecoder('latin1').decode(head);
    this.#head = new Uint8Array(0);
    this.#optional = false;
    this.#entry = 0;
    this.#stray = !STAMP.test(text);
    if (this.#stray) return joined(head, chunk.subarray(wanted));
    const stamp = text.slice(0, STAMP_LENGTH);
    if (stamp !== this.#stamp) this.#seen = 0;
    this.#stamp = stamp;
    return chunk.subarray(wanted);
  }

  #takeEntry(chunk: Uint8Array, before: number, fresh: Uint8Array[]): Uint8Array {
    const room = ENTRY_LIMIT - before;
    const lineBreak = chunk.subarray(0, room).indexOf(LINE_BREAK);
    const length = lineBreak < 0 ? Math.min(room, chunk.length) : lineBreak + 1;
    const piece = this.#stray ? chunk.subarray(0, 0) : this.#newPart(chunk.subarray(0, length));
    if (piece.length > 0) fresh.push(piece);
    const full = !this.#stray && lineBreak < 0 && before + length === ENTRY_LIMIT;
    this.#optional = full;
    this.#entry = lineBreak >= 0 || full ? null : this.#stray ? 0 : before + length;
    return chunk.subarray(length);
  }

  /** Of the next bytes under the present stamp, those that no reading has seen. */
  #newPart(bytes: Uint8Array): Uint8Array {
    const from = this.#seen;
    this.#seen += bytes.length;
    const known = this.#known;
    if (known !== null) {
      if (this.#stamp < known.stamp) return bytes.subarray(bytes.length);
      if (this.#stamp === known.stamp && from < known.bytes) {
        const skipped = Math.min(known.bytes - from, bytes.length);
        if (skipped === bytes.length) return bytes.subarray(skipped);
        this.#position = { stamp: this.#stamp, bytes: this.#seen };
        return bytes.subarray(skipped);
      }
      // The known part is behind us; from here on a clock that was set back hides nothing.
      this.#known = null;
    }
    this.#position = { stamp: this.#stamp, bytes: this.#seen };
    return bytes;
  }
}

function isPrefix(head: Uint8Array, stamp: string): boolean {
  const wanted = `${stamp} `;
  return head.every((byte, index) => byte === wanted.charCodeAt(index));
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
