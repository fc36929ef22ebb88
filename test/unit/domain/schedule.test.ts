import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastLoaded, notYetShown, scoreOf, type Candidate, type SentTask } from '../../../src/domain/schedule.ts';

function host(id: number, cpu: number, memory: number, sent = 0): Candidate {
  return { id, load: { cpu, memory }, sent };
}

const percent = fc.double({ min: 0, max: 100, noNaN: true });
const sound = fc.record({
  id: fc.nat(),
  load: fc.record({ cpu: percent, memory: percent }),
  sent: fc.nat({ max: 20 }),
});
const unsoundNumber = fc.oneof(
  fc.constantFrom(NaN, Infinity, -Infinity, -1, -1e9, -Number.MIN_VALUE),
  fc.double({ max: -1e-300, noNaN: true }),
);
const unsound: fc.Arbitrary<Candidate> = fc.record({
  id: fc.nat(),
  load: fc.oneof(
    fc.constant(null),
    fc.record({ cpu: unsoundNumber, memory: percent }),
    fc.record({ cpu: percent, memory: unsoundNumber }),
  ),
  sent: fc.oneof(fc.nat(), fc.constantFrom(NaN, -1e9, Infinity)),
});

describe('leastLoaded', () => {
  it('weighs the processors 0.7 and the memory 0.3', () => {
    expect(scoreOf(host(1, 40, 20))).toBeCloseTo(34);
    expect(leastLoaded([host(1, 50, 10), host(2, 40, 30)])?.id).toBe(2);
    expect(leastLoaded([host(1, 40, 60), host(2, 50, 10)])?.id).toBe(2);
  });

  it('takes a worker over 85 % of either only when there is no other', () => {
    expect(leastLoaded([host(1, 85.1, 0), host(2, 84, 84)])?.id).toBe(2);
    expect(leastLoaded([host(1, 0, 90), host(2, 80, 80)])?.id).toBe(2);
    expect(leastLoaded([host(1, 85, 85), host(2, 86, 0)])?.id).toBe(1);
    expect(leastLoaded([host(1, 99, 99), host(2, 90, 90)])?.id).toBe(2);
  });

  it('counts what was sent before the numbers show it', () => {
    expect(leastLoaded([host(1, 10, 10, 2), host(2, 25, 25)])?.id).toBe(2);
    const places = [0, 0, 0];
    for (let task = 0; task < 9; task += 1) {
      const best = leastLoaded(places.map((sent, id) => host(id, 10, 10, sent)));
      places[best?.id ?? 0] = (places[best?.id ?? 0] ?? 0) + 1;
    }
    expect(places).toEqual([3, 3, 3]);
  });

  it('has nobody where nobody is', () => {
    expect(leastLoaded([])).toBeNull();
  });

  it('takes the first of equals, whoever else is there', () => {
    fc.assert(
      fc.property(fc.array(sound, { minLength: 1 }), (hosts) => {
        const best = leastLoaded(hosts);
        if (best === null) throw new Error('nobody');
        const first = hosts.find((each) => scoreOf(each) === scoreOf(best) && groupOf(each) === groupOf(best));
        expect(best).toBe(first);
      }),
    );
  });

  it('always takes one, never one that is worse than another', () => {
    fc.assert(
      fc.property(fc.array(sound, { minLength: 1 }), (hosts) => {
        const best = leastLoaded(hosts);
        expect(hosts).toContain(best);
        for (const other of hosts) {
          if (best === null) throw new Error('nobody');
          const better = groupOf(other) - groupOf(best) || (scoreOf(other) ?? 0) - (scoreOf(best) ?? 0);
          expect(better).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  it('never prefers a load that cannot be', () => {
    fc.assert(
      fc.property(fc.array(unsound), sound, fc.array(unsound), (before, good, after) => {
        expect(leastLoaded([...before, good, ...after])).toBe(good);
      }),
    );
  });

  it('does with such loads alone what it can', () => {
    fc.assert(
      fc.property(fc.array(unsound, { minLength: 1 }), (hosts) => {
        expect(hosts).toContain(leastLoaded(hosts));
      }),
    );
  });
});

function groupOf({ load, sent }: Candidate): number {
  return Math.max(load?.cpu ?? 0, load?.memory ?? 0) + 10 * sent > 85 ? 1 : 0;
}

describe('notYetShown', () => {
  const measured = new Date('2026-11-25T10:00:00.000Z');
  const at = (seconds: number): string => new Date(measured.getTime() + seconds * 1000).toISOString();
  const task = (facts: Partial<SentTask>): SentTask => {
    return { worker: { id: 2 }, sent: at(-300), started: at(-1), end: null, ...facts };
  };

  it.each<[string, Partial<SentTask>, number]>([
    ['started a moment before', {}, 1],
    ['started since', { started: at(2) }, 1],
    ['started long before', { started: at(-30) }, 0],
    ['whose image is still on its way', { started: null }, 1],
    ['that nobody has started for hours', { started: null, sent: at(-7200) }, 0],
    ['that has ended', { end: { code: 0 } }, 0],
    ['of another worker', { worker: { id: 3 } }, 0],
  ])('a task %s', (_what, facts, count) => {
    expect(notYetShown([task(facts)], 2, measured)).toBe(count);
  });
});
