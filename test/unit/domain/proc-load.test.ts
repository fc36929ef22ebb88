import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadFromProc } from '../../../src/domain/proc-load.ts';

const MEMORY = 'MemTotal:       1000 kB\nMemAvailable:    250 kB\n';

it('is the part of the time between two samples that was not idle', () => {
  const text = `cpu  100 0 100 800 0 0 0 0 0 0\ncpu  150 0 120 900 30 0 0 0 0 0\n${MEMORY}engine 20.10.24\n`;
  expect(loadFromProc(text)).toEqual({ cpu: 35, memory: 75 });
});

it('a moment in which nothing was counted is an idle one', () => {
  const line = 'cpu  1 2 3 4 5 6 7 8 0 0\n';
  expect(loadFromProc(line + line + MEMORY)).toEqual({ cpu: 0, memory: 75 });
});

it('is unknown where the numbers are missing, turn back or are none', () => {
  for (const text of [
    '',
    MEMORY,
    `cpu  1 2 3 4\n${MEMORY}`,
    `cpu  x 2 3 4\ncpu  x 2 3 5\n${MEMORY}`,
    `cpu  9 9 9 9\ncpu  1 1 1 99\n${MEMORY}`,
    'cpu  1 2 3 4\ncpu  2 2 3 5\nMemTotal: 0 kB\nMemAvailable: 0 kB\n',
    'cpu  1 2 3 4\ncpu  2 2 3 5\nMemTotal: 10 kB\nMemAvailable: 20 kB\n',
  ]) {
    expect(loadFromProc(text)).toBeNull();
  }
});

it('never is what a load cannot be', () => {
  const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom('', 'x', '1e999'));
  const line = fc.array(number).map((words) => `cpu  ${words.join(' ')}`);
  fc.assert(
    fc.property(line, line, number, number, (before, after, total, free) => {
      const load = loadFromProc(`${before}\n${after}\nMemTotal: ${total} kB\nMemAvailable: ${free} kB\n`);
      for (const part of load === null ? [] : [load.cpu, load.memory]) {
        expect(part).toBeGreaterThanOrEqual(0);
        expect(part).toBeLessThanOrEqual(100);
      }
    }),
  );
});
