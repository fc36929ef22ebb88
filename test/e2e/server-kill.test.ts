import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../until.ts';
import { AGENT_SECRET, openServerRig, VITALS, type RunningServer, type ServerRig } from './server-rig.ts';

let rig: ServerRig;
beforeEach(async () => {
  rig = await openServerRig();
});
afterEach(() => rig?.close());

/** Kills itself with -9 at its `when`-th write that waits for the disk: all writes of its state do. */
const killedAt = (when: number): readonly string[] => [
  'strace',
  '--follow-forks',
  '--quiet=all',
  '--trace=fsync',
  '--output=/dev/null',
  `--inject=fsync:signal=KILL:when=${when}`,
];

/** Registers one agent after the other, each beats, and returns those whose id was confirmed before the server was gone. */
async function work(server: RunningServer, round: number): Promise<ReadonlyMap<string, number>> {
  const confirmed = new Map<string, number>();
  try {
    for (let agent = 0; agent < 50; agent += 1) {
      const name = `guest-${round}-${agent}`;
      const { status, body } = await server.register(name);
      expect(status).toBe(200);
      const id = Number(body['worker_id']);
      confirmed.set(name, id);
      await server.beat(id, VITALS, AGENT_SECRET);
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return confirmed;
  }
  throw new Error('it was not killed');
}

test('kill -9 at any write: what was confirmed is kept, no id has two names, and all are online again', async () => {
  const known = new Map<string, number>();
  // The first writes of a server are those of its start: then nobody was told anything yet.
  for (const [round, when] of [3, 4, 5, 6, 7, 9, 14, 21].entries()) {
    const server = await rig.spawn({ UV_THREADPOOL_SIZE: '1' }, killedAt(when)).catch(() => null);
    if (server === null) continue;
    for (const [name, id] of await work(server, round)) known.set(name, id);
    const again = await rig.spawn();
    for (const [name, id] of known) {
      expect((await again.register(name)).body).toMatchObject({ worker_id: id, created: false });
      expect((await again.beat(id, VITALS, AGENT_SECRET)).status).toBe(200);
    }
    const names = (await again.workers()).filter(({ status }) => status === 'online').map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining([...known.keys()]));
    const fresh = Number((await again.register(`new-${round}`)).body['worker_id']);
    expect([...known.values()]).not.toContain(fresh);
    known.set(`new-${round}`, fresh);
    await again.stop();
  }
  expect(new Set(known.values()).size).toBe(known.size);
  expect(known.size).toBeGreaterThan(20);
  expect(rig.log.join('')).not.toContain('damaged');
});

test('kill -9 while agents beat: nobody is taken for offline, and loads are there with the next beat', async () => {
  const server = await rig.spawn();
  for (const id of [2, 3]) await server.beat(id, { ...VITALS, cpu_percent: 70 });
  await server.stop();
  const again = await rig.spawn();
  const before = await again.workers();
  expect(before).toMatchObject([
    { name: 'w2', status: 'online' },
    { name: 'w3', status: 'online' },
  ]);
  await again.beat(2, { ...VITALS, cpu_percent: 30 });
  await until('its load', async () => (await again.worker(2))['cpu_percent'] === 30);
  expect(rig.log.join('')).not.toContain('"to":"offline"');
});
