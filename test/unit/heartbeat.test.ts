import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Refusal } from '../../src/server/refusal.ts';
import { readVitals } from '../../src/server/schemas.ts';

function outcome(body: unknown): unknown {
  try {
    return readVitals(body);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, body: error.body };
  }
}

const percent = fc.oneof(
  fc.double({ min: -1, max: 101 }),
  fc.constantFrom<unknown>(0, 100, -0, Number.NaN, Infinity, '7', null, undefined, true, [5]),
);
const version = fc.oneof(
  fc.constantFrom<unknown>('v1.2.3', 'v1.2.3-dev.1', 'unknown', '', 'unversioned', 'v2;reboot', '-v', null, 7, {}),
  fc.string({ maxLength: 130 }),
);

test('what is read without the schema is read as the schema reads it', () => {
  const body = fc.record(
    { cpu_percent: percent, memory_percent: percent, version, cpu: percent, mem: percent },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(body, (beat) => {
      // With a key more it is no plain heartbeat.
      expect(outcome(beat)).toEqual(outcome({ ...beat, more: 1 }));
    }),
    { numRuns: 2_000 },
  );
});

test('the usual heartbeat is read', () => {
  for (let again = 0; again < 2; again += 1)
    expect(readVitals({ cpu_percent: 1.5, memory_percent: 99, version: 'v1.2.3' })).toEqual({
      cpu: 1.5,
      memory: 99,
      version: 'v1.2.3',
    });
  expect(readVitals({ cpu_percent: 0, memory_percent: 100, version: 'unknown' }).version).toBeNull();
});
