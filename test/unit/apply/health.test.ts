import { expect, test } from 'vitest';
import { sharedLook, waitUntilWell } from '../../../src/apply/health.ts';
import type { StepContext } from '../../../src/apply/step.ts';
import { UserError } from '../../../src/domain/errors.ts';
import type { Container } from '../../../src/effects/engine.ts';

const WELL: Container = {
  id: '1',
  name: 'docker-server-1',
  service: 'server',
  folder: '/project/docker',
  configHash: '',
  image: 'team/server:v1.0.0',
  imageId: 'sha256:1',
  state: 'running',
  health: 'healthy',
  restarts: 0,
  exitCode: 0,
  startedAt: '2026-01-01T00:00:00Z',
};

/** Waits on a container that is seen so, one look after the other; the last look stays. Null if it is well in the end. */
async function verdict(
  looks: readonly Partial<Container>[],
  more: { timeout?: number; stable?: number; signal?: AbortSignal } = {},
): Promise<UserError | null> {
  let index = 0;
  const options = {
    timeout: more.timeout ?? 60,
    stable: more.stable ?? 0,
    secrets: ['hush-hush'],
    log: async () => 'no database: hush-hush',
    look: async () => {
      const seen = looks[Math.min(index, looks.length - 1)];
      index += 1;
      return seen === undefined ? [] : [{ ...WELL, ...seen }];
    },
  };
  const context: StepContext = { signal: more.signal ?? new AbortController().signal, report: () => {} };
  try {
    await waitUntilWell('server', options, context);
    return null;
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}

test.each([
  ['healthy at once', [{}]],
  ['healthy after a while', [{ health: 'starting' }, { health: 'starting' }, {}]],
  ['without a health check, once it has run on', [{ health: null, state: 'created' }, { health: null }]],
  ['started again once, then healthy', [{ health: 'starting' }, { state: 'restarting', restarts: 1 }, { restarts: 1 }]],
  ['with many restarts from another time', [{ restarts: 40 }]],
  ['ended well and about to be started again', [{ state: 'exited' }, {}]],
])('well: %s', async (_name, looks) => {
  expect(await verdict(looks)).toBeNull();
});

test.each([
  ['unhealthy', [{ health: 'starting' }, { health: 'unhealthy' }], 'service server is not well: unhealthy'],
  [
    'ended with a code',
    [{ state: 'exited', exitCode: 3, health: 'unhealthy' }],
    'service server is not well: exited, exit code 3',
  ],
  [
    'comes and goes, seen while it is away',
    [{ health: 'starting' }, { state: 'restarting', restarts: 3, exitCode: 1 }],
    'service server is not well: restarting, exit code 1, restarted 3 times',
  ],
  [
    'comes and goes, seen while it is there',
    [{ health: null }, { health: null, restarts: 3 }],
    'service server is not well: running, restarted 3 times',
  ],
])('lost: %s', async (_name, looks, message) => {
  const error = await verdict(looks, { stable: 60 });
  expect([error?.exitCode, error?.text.en]).toEqual([7, message]);
  expect(error?.details.evidence).toBe('no database: ***');
  expect(error?.details.hint?.en).toContain('xingrin logs server');
});

test('given up after the time limit, also where there is no container', async () => {
  expect((await verdict([{ health: 'starting' }], { timeout: 0.3 }))?.text.en).toBe(
    'service server is not well: starting',
  );
  expect((await verdict([], { timeout: 0.3 }))?.text.en).toBe('service server has no container');
});

test('whoever is asked to stop does not wait on', async () => {
  expect((await verdict([{ health: 'starting' }], { signal: AbortSignal.abort() }))?.code).toBe('INTERRUPTED');
});

test('several who wait share a look, and the next one is a new one', async () => {
  let asked = 0;
  const look = sharedLook(async () => {
    asked += 1;
    return [];
  });
  await Promise.all([look(), look(), look()]);
  expect(asked).toBe(1);
  await look();
  expect(asked).toBe(2);
});
