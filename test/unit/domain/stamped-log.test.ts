import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENTRY_LIMIT, StampedLog } from '../../../src/domain/stamped-log.ts';

interface Line {
  readonly text: string;
  /** Nanoseconds after the line before; often none. */
  readonly step: number;
}

/** A log as the engine gives it: lines in entries of at most so many bytes, each with its stamp. */
function engineLog(lines: readonly Line[], lastEnds: boolean): { raw: Uint8Array; stamped: Uint8Array } {
  let time = 1;
  const raw: Uint8Array[] = [];
  const stamped: Uint8Array[] = [];
  lines.forEach(({ text, step }, index) => {
    time += step;
    const ends = lastEnds || index < lines.length - 1;
    const bytes = Buffer.from(ends ? `${text}\n` : text);
    raw.push(bytes);
    const stamp = Buffer.from(`2026-11-25T10:35:01.${String(time).padStart(9, '0')}Z `);
    for (let at = 0; at < bytes.length; at += ENTRY_LIMIT)
      stamped.push(stamp, bytes.subarray(at, Math.min(at + ENTRY_LIMIT, bytes.length)));
  });
  return { raw: Buffer.concat(raw), stamped: Buffer.concat(stamped) };
}

/** The same from the first entry on that bears this stamp or a later one. */
function since(stamped: Uint8Array, stamp: string): Uint8Array {
  const text = Buffer.from(stamped).toString('latin1');
  const at = text.indexOf(stamp);
  return at < 0 ? stamped : stamped.subarray(at);
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) cut.push(bytes.subarray(at, at + size));
  return cut;
}

const text = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme', maxLength: 20 }).map((each) => each.replaceAll('\n', '')) },
  { weight: 1, arbitrary: fc.integer({ min: -2, max: 40 }).map((more) => 'x'.repeat(ENTRY_LIMIT + more)) },
  { weight: 1, arbitrary: fc.integer({ min: -2, max: 40 }).map((more) => '2'.repeat(2 * ENTRY_LIMIT + more)) },
);
const lines = fc.array(fc.record({ text, step: fc.constantFrom(0, 0, 1, 50) }), { maxLength: 12 });

function take(log: StampedLog, bytes: Uint8Array, size: number): Uint8Array {
  return Buffer.concat(pieces(bytes, size).flatMap((piece) => log.take(piece)));
}

describe('StampedLog', () => {
  it('gives what was written, byte for byte, however it comes in pieces', () => {
    fc.assert(
      fc.property(lines, fc.boolean(), fc.integer({ min: 1, max: 40_000 }), (written, lastEnds, size) => {
        const { raw, stamped } = engineLog(written, lastEnds);
        expect(Buffer.compare(take(new StampedLog(), stamped, size), raw)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('reads on after a cut, with nothing missing and nothing twice', () => {
    fc.assert(
      fc.property(
        lines,
        fc.boolean(),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
        fc.boolean(),
        (written, lastEnds, cuts, fromStart) => {
          const { raw, stamped } = engineLog(written, lastEnds);
          const log = new StampedLog();
          const got: Uint8Array[] = [];
          for (const cut of [...cuts, 1]) {
            const { position } = log;
            log.restart();
            const source = position === null || fromStart ? stamped : since(stamped, position.stamp);
            got.push(take(log, source.subarray(0, Math.ceil(source.length * cut)), 1000));
          }
          expect(Buffer.compare(Buffer.concat(got), raw)).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('keeps back what bears no stamp: that is the reader who speaks, not the task', () => {
    const log = new StampedLog();
    expect(take(log, Buffer.from('Error response from daemon: No such container: x\n'), 7)).toHaveLength(0);
    const stamped = Buffer.from('2026-11-25T10:35:01.000000001Z hello\n');
    expect(Buffer.from(take(log, stamped, 7)).toString()).toBe('hello\n');
  });

  it('is not misled by a program that writes stamps itself', () => {
    const line = '2026-11-25T10:35:01.000000001Z not ours';
    const { raw, stamped } = engineLog(
      [
        { text: line, step: 0 },
        { text: line, step: 0 },
      ],
      true,
    );
    expect(Buffer.compare(take(new StampedLog(), stamped, 5), raw)).toBe(0);
  });
});
