// How soon the control plane is right again: after Redis was killed and came back empty, and after the server itself was killed with -9, with
// agents that beat every three seconds. Against what is promised: 5 s and 15 s.
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../src/effects/clock.ts';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { openRedisRig } from '../test/e2e/redis-rig.ts';
import { openServerRig, VITALS, type RunningServer } from '../test/e2e/server-rig.ts';

const ROUNDS = 5;
const INTERVAL = 3_000;
const AGENTS = [2, 3];
const REDIS_PROMISE = 5;
const SERVER_PROMISE = 15;

/** Agents that go on beating, each at its own time, at whatever server there is. */
function beating(server: () => RunningServer | null): () => Promise<void> {
  const stop = new AbortController();
  const all = AGENTS.map(async (id) => {
    await pause(Math.random() * INTERVAL, undefined, { signal: stop.signal });
    for (;;) {
      await server()
        ?.beat(id, { ...VITALS, cpu_percent: 42 })
        .catch(() => {});
      await pause(INTERVAL, undefined, { signal: stop.signal });
    }
  });
  return async () => {
    stop.abort();
    await Promise.allSettled(all);
  };
}

/** Waits until everybody is online with the load of a heartbeat that came since. */
async function right(server: RunningServer): Promise<void> {
  const began = Date.now();
  await until('all to be online', 60_000, async () => {
    const workers = await server.workers().catch(() => []);
    return AGENTS.every((id) =>
      workers.some((each) => {
        const seen = Date.parse(String(each['last_seen']));
        return each['id'] === id && each['status'] === 'online' && each['cpu_percent'] === 42 && seen >= began;
      }),
    );
  });
}

const secondsSince = (began: number): number => (performance.now() - began) / 1_000;

function tell(what: string, all: readonly number[], promise: number): void {
  const worst = Math.max(...all);
  const each = all.map((seconds) => seconds.toFixed(1)).join(', ');
  process.stdout.write(
    `${what}: ${each} s; the longest ${(worst / promise).toFixed(2)} of the promised ${promise} s\n`,
  );
}

await prepareMachine();
const [rig, redis] = [await openServerRig(), await openRedisRig()];
try {
  let server: RunningServer = await rig.spawn({ REDIS_URL: redis.url });
  const served = async (): Promise<boolean> => (await server.call('/readyz')).status === 200;
  const back: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await until('it to be served', 60_000, served);
    await redis.kill();
    await until('its absence to be noticed', 60_000, async () => !(await served()));
    await pause(Math.random() * INTERVAL);
    await redis.start();
    const began = performance.now();
    await until('it to be served again', 60_000, served);
    back.push(secondsSince(began));
  }
  tell('Redis was killed and is back, empty: served again after', back, REDIS_PROMISE);
  await server.stop();

  server = await rig.spawn();
  let reachable: RunningServer | null = server;
  const end = beating(() => reachable);
  await right(server);
  const again: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    reachable = null;
    await server.stop();
    const began = performance.now();
    server = await rig.spawn();
    reachable = server;
    await right(server);
    again.push(secondsSince(began));
  }
  await end();
  tell('the server was killed with -9 and started again: all online with a fresh load after', again, SERVER_PROMISE);
} finally {
  await rig.close();
  await redis.close();
}
