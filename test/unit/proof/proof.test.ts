import { expect, test } from 'vitest';
import { byProgram } from '../../proof/accounting.ts';
import { renderProof } from '../../proof/table.ts';

/** A record as the kernel writes it; times in its ticks, each as 13 bits and how often 8 was taken out of it. */
function record(name: string, user: number, system: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt16LE(user, 32);
  bytes.writeUInt16LE(system, 34);
  bytes.write(name, 48, 'latin1');
  return bytes;
}

test('accounting records are summed by program, the most expensive first; half a record at the end counts for nothing', () => {
  const records = Buffer.concat([
    record('git', 3, 1),
    record('node (vitest 1)', 100, 0),
    record('runc', 20, 20),
    record('runc:[2:INIT]', 5, 5),
    // 1,000 ticks, eight times: exponent 1.
    record('dockerd', (1 << 13) | 1_000, 0),
    record('git', 9_999, 0).subarray(0, 50),
  ]);
  expect(byProgram(records)).toEqual([
    { program: 'dockerd', starts: 1, seconds: 80 },
    { program: 'node (tests)', starts: 1, seconds: 1 },
    { program: 'runc', starts: 2, seconds: 0.5 },
    { program: 'git', starts: 1, seconds: 0.04 },
  ]);
});

test('the table names files and tests by how long they took; where programs were not counted it says why', () => {
  const text = renderProof({
    parts: [
      { part: 'gate', duration: 90_000 },
      { part: 'tests', duration: 30_000 },
    ],
    files: [
      { file: 'a.test.ts', duration: 6_000, tests: [{ name: 'one | two', duration: 5_000 }] },
      { file: 'b.test.ts', duration: 60_000, tests: [{ name: 'slow', duration: 55_000 }] },
    ],
    programs: 'no such kernel',
    load: { processors: 2, busy: 0.6, full: 0.25 },
  });
  expect(text).toBe(`### Time by part

| part       | minutes |
|------------|--------:|
| gate       |     1.5 |
| tests      |     0.5 |
| everything |     2.0 |

The 2 processors were 60 % busy; in 25 % of the seconds none of them had time left.

### Time by file

| file      | minutes |
|-----------|--------:|
| b.test.ts |     1.0 |
| a.test.ts |     0.1 |

### The slowest tests

| file      | seconds | test       |
|-----------|--------:|------------|
| b.test.ts |      55 | slow       |
| a.test.ts |       5 | one \\| two |

Processor time by program is not known: no such kernel
`);
});
