import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { eraseWaiting, whileWaiting, withoutWaiting } from '../../../src/effects/waiting.ts';

const ERASE = '\r\u001B[2K';
let written: string[];
beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Goes on for so many milliseconds of the pretended clock. */
const lasting = (time: number) => (): Promise<string> => new Promise((resolve) => setTimeout(resolve, time, 'done'));

test('nothing is said of what takes less than a second', async () => {
  const work = whileWaiting('looking', lasting(900));
  await vi.advanceTimersByTimeAsync(900);
  expect(await work).toBe('done');
  expect(written).toEqual([]);
});

test('what takes longer is told with its seconds, and nothing of that is left', async () => {
  const work = whileWaiting('looking', lasting(2_550));
  await vi.advanceTimersByTimeAsync(1_500);
  expect(written.at(-1)?.replace(ERASE, '')).toMatch(/^\S looking 1 s$/);
  await vi.advanceTimersByTimeAsync(600);
  expect(written.at(-1)).toMatch(/ looking 2 s$/);
  await vi.advanceTimersByTimeAsync(600);
  await work;
  expect(written.at(-1)).toBe(ERASE);
});

test('what is written meanwhile finds an empty line, and a question the whole screen', async () => {
  const work = whileWaiting('looking', async () => {
    await lasting(1_500)();
    eraseWaiting();
    written.push('a warning\n');
    await withoutWaiting(async () => {
      written.push('a question');
      await lasting(5_000)();
    });
    return whileWaiting('inside', lasting(1_000));
  });
  await vi.advanceTimersByTimeAsync(1_550);
  expect(written.slice(-3)).toEqual([ERASE, 'a warning\n', 'a question']);
  await vi.advanceTimersByTimeAsync(4_900);
  expect(written.at(-1)).toBe('a question');
  await vi.advanceTimersByTimeAsync(500);
  expect(written.at(-1)).toMatch(/ looking 6 s$/);
  await vi.advanceTimersByTimeAsync(1_000);
  await work;
});

test('it goes also where the work fails', async () => {
  const work = whileWaiting('looking', async () => {
    await lasting(1_500)();
    throw new Error('no luck');
  });
  const seen = expect(work).rejects.toThrow('no luck');
  await vi.advanceTimersByTimeAsync(1_600);
  await seen;
  expect(written.at(-1)).toBe(ERASE);
});
