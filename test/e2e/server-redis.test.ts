import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { FIRST_UNLISTED } from '../../src/server/store.ts';
import { openRedisRig, type RedisRig } from './redis-rig.ts';
import {
  AGENT_SECRET,
  asAdmin,
  openServerRig,
  StrictUpdater,
  VITALS,
  type RunningServer,
  type ServerRig,
} from './server-rig.ts';

const OLD = { ...VITALS, version: 'v1.0.0' };

interface Rigs {
  readonly rig: ServerRig;
  readonly redis: RedisRig;
}

/** Two servers' worth of parts, apart for each test: they run side by side. */
async function withRigs(body: (rigs: Rigs) => Promise<void>): Promise<void> {
  const [rig, redis] = [await openServerRig(), await openRedisRig()];
  try {
    await body({ rig, redis });
  } finally {
    await rig.close();
    await redis.close();
  }
}

/** Everything that a server's event stream says, as it comes. */
function eventsOf(server: RunningServer): { text: string } {
  const seen = { text: '' };
  void (async () => {
    const response = await fetch(`${server.url}/api/events/`, asAdmin);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) seen.text += decoder.decode(chunk as Uint8Array);
  })().catch(() => {});
  return seen;
}

/** Agents that beat twice a second at one server; `answers` are the last ones. */
function agents(
  server: RunningServer,
  ids: readonly (readonly [id: number, token?: string])[],
): {
  readonly answers: Map<number, number>;
  stop(): Promise<void>;
} {
  const answers = new Map<number, number>();
  let stopped = false;
  const beating = (async () => {
    while (!stopped) {
      for (const [id, token] of ids) {
        const status = await server.beat(id, VITALS, token).then(
          (answer) => answer.status,
          () => 0,
        );
        answers.set(id, status);
      }
      await pause(500);
    }
  })();
  return {
    answers,
    async stop() {
      stopped = true;
      await beating;
    },
  };
}

async function statuses(server: RunningServer): Promise<Record<string, unknown>> {
  return Object.fromEntries((await server.workers()).map((worker) => [worker['name'], worker['status']]));
}

describe.concurrent('two servers on one Redis', () => {
  test('one fleet; Redis is gone for longer than agents may be silent, and has lost everything; one server is killed', () =>
    withRigs(async ({ rig, redis }) => {
      const [one, other] = await Promise.all([1, 2].map(() => rig.spawn({ REDIS_URL: redis.url })));
      if (one === undefined || other === undefined) throw new Error('no servers');
      const events = eventsOf(one);
      await until('the stream', () => events.text.includes('retry:'));

      const registered = await Promise.all([one, other].map((server) => server.register('guest')));
      for (const { body } of registered) expect(body).toMatchObject({ worker_id: FIRST_UNLISTED });
      await other.beat(2, { ...VITALS, cpu_percent: 42 });
      await until('the one to show what the other saw', () => events.text.includes('"name":"w2"'));
      await until('its load as well', async () => (await one.worker(2))['cpu_percent'] === 42);
      expect(await one.worker(2)).toMatchObject({ status: 'online', version: 'v1.2.3' });

      const guest = [FIRST_UNLISTED, AGENT_SECRET] as const;
      const groups = [agents(one, [[2], guest]), agents(other, [[3]])];
      const answers = (): number[] => groups.flatMap((group) => [...group.answers.values()]);
      const allAnswer = (status: number) => (): boolean =>
        answers().length === 3 && answers().every((answer) => answer === status);
      const online = { w2: 'online', w3: 'online', guest: 'online' };
      await until('three beats', allAnswer(200));
      for (const server of [one, other])
        await until('all to be online', async () =>
          expect.objectContaining(online).asymmetricMatch(await statuses(server)),
        );

      await redis.kill();
      await until('503', allAnswer(503));
      for (const server of [one, other]) {
        const refused = await server.call('/api/workers/', asAdmin);
        expect(refused).toMatchObject({ status: 503, body: { error: { code: 'UNAVAILABLE' } } });
        expect(refused.headers.get('retry-after')).toBe('1');
        expect((await server.call('/readyz')).status).toBe(503);
        expect((await server.call('/livez')).status).toBe(200);
        expect(await (await fetch(`${server.url}/metrics`, asAdmin)).text()).toContain('xingrin_store_up 0');
      }
      await pause(16_000);
      expect(answers()).toEqual([503, 503, 503]);
      await redis.start();
      await until('all to be served again', allAnswer(200));
      for (const server of [one, other]) expect(await statuses(server)).toEqual(online);
      expect((await other.register('guest')).body).toMatchObject({ worker_id: FIRST_UNLISTED, created: false });

      await one.stop();
      await groups[0]?.stop();
      const moved = agents(other, [[2], guest]);
      await until('the other to serve all', () => [...moved.answers.values()].join() === '200,200');
      const again = await rig.spawn({ REDIS_URL: redis.url });
      expect(await statuses(again)).toEqual(online);
      for (const group of [...groups, moved]) await group.stop();
      expect(events.text).not.toContain('offline');
      // What happened to the stream meanwhile nobody knows.
      expect(events.text).toContain('event: reset');
      expect(rig.log.join('')).not.toContain('"to":"offline"');
      expect(rig.log.join('')).not.toContain(AGENT_SECRET);
    }));

  test('an agent is updated once, whichever server hears it, and the lock stays after a failure', () =>
    withRigs(async ({ rig, redis }) => {
      const updater = new StrictUpdater();
      const settings = { redisUrl: redis.url };
      const [one, other] = [await rig.start(settings, updater), await rig.start(settings, updater)];
      await redis.settle();
      const beatBoth = async (): Promise<void> => {
        await Promise.all([one, other].flatMap((server) => [2, 3].map((id) => server.beat(id, OLD))));
      };
      await until('both updates', async () => {
        await beatBoth();
        return updater.calls.length === 2;
      });
      for (let beats = 0; beats < 5; beats += 1) await beatBoth();
      expect(updater.calls.toSorted()).toEqual(['w2 v1.2.3', 'w3 v1.2.3']);
      const owners = await redis.redis.mget('agent_update_lock:2', 'agent_update_lock:3');
      expect(new Set(owners)).toHaveLength(2);
      expect(owners).not.toContain(null);
      updater.end(2);
      await until('the swap', async () => updater.swaps.length === 1);
      await one.beat(2);
      await until('its lock to be given back', async () => (await redis.redis.exists('agent_update_lock:2')) === 0);
      updater.end(3, new Error('no space left'));
      for (const server of [one, other]) {
        await until('the reason', async () => (await server.worker(3))['status'] === 'outdated');
        expect(await server.worker(3)).toMatchObject({ reason: 'no space left' });
      }
      // Kept after a failure.
      expect(await redis.redis.get('agent_update_lock:3')).toBe(owners[1]);
      for (const server of [one, other]) await server.beat(3, OLD);
      expect(updater.calls).toHaveLength(2);
    }));

  test('a server that ends over an update: the other goes on with it when the lock has run out, and not before', () =>
    withRigs(async ({ rig, redis }) => {
      const [first, second] = [new StrictUpdater(), new StrictUpdater()];
      const settings = { redisUrl: redis.url };
      const one = await rig.start(settings, first);
      await redis.settle();
      await until('the update', async () => {
        await one.beat(2, OLD);
        return first.calls.length === 1;
      });
      const other = await rig.start(settings, second);
      first.end(2);
      await until('the swap', () => first.swaps.length === 1);
      await one.stop();
      // What was begun over there may still end well: the lock stays.
      expect(await redis.redis.ttl('agent_update_lock:2')).toBeGreaterThan(30);
      for (let beats = 0; beats < 10; beats += 1) {
        await other.beat(2, OLD);
        await pause(300);
      }
      expect(await other.worker(2)).toMatchObject({ status: 'updating' });
      expect(second.calls).toEqual([]);
      await redis.redis.pexpire('agent_update_lock:2', 1);
      await until('the other to go on', async () => {
        await other.beat(2, OLD);
        return second.calls.length === 1;
      });
      expect(await redis.redis.exists('agent_update_lock:2')).toBe(1);
      second.end(2);
      await until('the swap', () => second.swaps.length === 1);
      await other.beat(2);
      expect(await other.worker(2)).toMatchObject({ status: 'online', version: 'v1.2.3' });
    }));
});
