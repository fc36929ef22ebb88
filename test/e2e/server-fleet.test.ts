import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '../../src/domain/errors.ts';
import { until } from '../until.ts';
import { FIRST_UNLISTED } from '../../src/server/store.ts';
import {
  ADMIN_TOKEN,
  AGENT_SECRET,
  asAdmin,
  bearer,
  openServerRig,
  post,
  StrictUpdater,
  tokenOf,
  VITALS,
  type RunningServer,
  type ServerRig,
} from './server-rig.ts';

let rig: ServerRig;
beforeEach(async () => {
  rig = await openServerRig();
});
afterEach(() => rig.close());

const statusOf = async (server: RunningServer, id: number): Promise<unknown> => (await server.worker(id))['status'];

describe('who is there', () => {
  test('those of the inventory, the server itself, and whoever registers; the same name gets the same id', async () => {
    const server = await rig.start();
    expect(await server.workers()).toMatchObject([
      { id: 2, name: 'w2', host: '10.9.9.2', status: 'pending', last_seen: null, is_local: false },
      { id: 3, name: 'w3', status: 'pending' },
    ]);
    expect((await server.register('local', true)).body).toEqual({
      worker_id: 1,
      workerId: 1,
      name: 'local',
      created: true,
    });
    expect((await server.register('w3')).body).toMatchObject({ worker_id: 3, created: false });
    const id = FIRST_UNLISTED;
    expect((await server.register('__proto__')).body).toMatchObject({ worker_id: id, created: true });
    expect((await server.register('星环 "x" \n', true)).body).toMatchObject({ worker_id: id + 1, created: true });
    const again = await Promise.all(Array.from({ length: 20 }, () => server.register('same')));
    expect(new Set(again.map(({ body }) => body['worker_id']))).toEqual(new Set([id + 2]));
    for (const name of ['local', '__proto__', '星环 "x" \n', 'same'])
      expect((await server.register(name, true)).body).toMatchObject({ name, created: false });
    expect((await server.workers()).map((worker) => worker['id'])).toEqual([1, 2, 3, id, id + 1, id + 2]);
  });

  test('who leaves the inventory is forgotten, and its token is of no use', async () => {
    const server = await rig.start();
    await server.beat(2);
    await writeFile(
      join(rig.root, '.xingrin/inventory.yaml'),
      'lastId: 4\nworkers: [{id: 4, name: w4, host: w4.test}]\n',
    );
    await until('the new inventory', async () => (await server.workers()).length === 1);
    expect(await server.workers()).toMatchObject([{ id: 4, name: 'w4' }]);
    expect((await server.beat(2)).status).toBe(404);
    expect((await server.beat(4)).status).toBe(200);
    // Half an inventory is no inventory: the one before counts.
    await writeFile(join(rig.root, '.xingrin/inventory.yaml'), 'workers: [');
    await until('a complaint', () => rig.log.join('').includes('the inventory cannot be read'));
    expect(await server.workers()).toMatchObject([{ id: 4, name: 'w4', status: 'online' }]);
  });

  test('one that only registered can be removed, and comes back as somebody new', async () => {
    const server = await rig.start();
    const first = Number((await server.register('guest')).body['worker_id']);
    expect((await server.beat(first, VITALS, AGENT_SECRET)).status).toBe(200);
    expect((await server.call(`/api/workers/${first}/`, { ...asAdmin, method: 'DELETE' })).status).toBe(200);
    expect((await server.beat(first, VITALS, AGENT_SECRET)).status).toBe(404);
    const second = Number((await server.register('guest')).body['worker_id']);
    expect(second).toBe(first + 1);
  });
});

describe('what becomes of a worker', () => {
  test('a beat brings it online, silence takes it offline, and only it', async () => {
    const server = await rig.start();
    await server.beat(2);
    expect(await statusOf(server, 2)).toBe('online');
    const silent = performance.now();
    while (performance.now() - silent < 14_000) {
      await server.beat(3);
      const status = await statusOf(server, 2);
      if (performance.now() - silent < 15_000) expect(status).toBe('online');
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await until('silence to be noticed', async () => (await statusOf(server, 2)) === 'offline');
    await server.beat(3);
    expect(await statusOf(server, 3)).toBe('online');
    await server.beat(2);
    expect(await statusOf(server, 2)).toBe('online');
  });

  test('the local agent with another version is outdated, and says what to type, in two languages', async () => {
    const server = await rig.start();
    await server.register('local', true);
    for (let beats = 0; beats < 2; beats += 1) await server.beat(1, { ...VITALS, version: 'v1.0.0' }, AGENT_SECRET);
    expect(await server.worker(1)).toMatchObject({ status: 'outdated', reason: 'run xingrin update', is_local: true });
    const chinese = { headers: { ...asAdmin.headers, 'accept-language': 'zh-CN' } };
    expect((await server.call('/api/workers/1/', chinese)).body).toMatchObject({ reason: '请运行 xingrin update' });
    const answer = await server.beat(1, VITALS, AGENT_SECRET);
    expect(answer.body).toMatchObject({ need_update: false });
    expect(await server.worker(1)).toMatchObject({ status: 'online', reason: null });
  });

  test('a remote agent with another version is updated, once, and is right when its beat says so', async () => {
    const updater = new StrictUpdater();
    const server = await rig.start({}, updater);
    const old = { ...VITALS, version: 'v1.0.0' };
    expect((await server.beat(2, old)).body).toMatchObject({ need_update: true, server_version: 'v1.2.3' });
    await until('the update to begin', async () => {
      await server.beat(2, old);
      return updater.calls.length === 1;
    });
    for (let beats = 0; beats < 5; beats += 1) await server.beat(2, old);
    expect(await server.worker(2)).toMatchObject({ status: 'updating', version: 'v1.0.0' });
    await server.beat(2, { ...VITALS, version: 'unknown' });
    expect(await statusOf(server, 2)).toBe('updating');
    updater.end(2);
    await until('the swap', async () => updater.swaps.length === 1);
    await server.beat(2);
    expect(await statusOf(server, 2)).toBe('online');
    expect(updater.calls).toEqual(['w2 v1.2.3']);
  });

  test('an agent that beats as seldom as agents do is followed as well', async () => {
    const updater = new StrictUpdater();
    const server = await rig.start({}, updater);
    const beats = setInterval(() => void server.beat(2, { ...VITALS, version: 'v1.0.0' }), 3_000);
    try {
      await until('the update', async () => updater.calls.length === 1);
    } finally {
      clearInterval(beats);
    }
  });

  test('an update whose agent then tells another version has failed, and is not begun again at once', async () => {
    const updater = new StrictUpdater();
    const server = await rig.start({}, updater);
    const wrong = { ...VITALS, version: 'v1.0.0' };
    await until('the update', async () => {
      await server.beat(2, wrong);
      return updater.calls.length === 1;
    });
    updater.end(2);
    await until('the reason', async () => {
      await server.beat(2, wrong);
      return (await statusOf(server, 2)) === 'outdated';
    });
    const { reason } = await server.worker(2);
    expect(reason).toBe('the agent of v1.2.3 runs, but its heartbeats say v1.0.0');
    await server.beat(2, wrong);
    expect(updater.calls).toHaveLength(1);
  });

  test('a server that ends before anything was touched gives its lock back: the next one begins at once', async () => {
    const [first, second] = [new StrictUpdater(), new StrictUpdater()];
    const old = { ...VITALS, version: 'v1.0.0' };
    const server = await rig.start({}, first);
    await until('the update', async () => {
      await server.beat(2, old);
      return first.calls.length === 1;
    });
    await server.stop();
    const next = await rig.start({}, second);
    await until('the next one', async () => {
      await next.beat(2, old);
      return second.calls.length === 1;
    });
    expect(first.swaps).toEqual([]);
  });

  test('where somebody else is at it over there, nothing has failed', async () => {
    const updater = new StrictUpdater();
    const server = await rig.start({}, updater);
    const old = { ...VITALS, version: 'v1.0.0' };
    const asked = (times: number): Promise<void> =>
      until('the update', async () => {
        await server.beat(2, old);
        return updater.calls.length === times;
      });
    await asked(1);
    updater.end(2, new UserError('LOCKED', { en: 'w2 is being updated', zh: 'w2 正在更新' }));
    await asked(2);
    expect(await server.worker(2)).toMatchObject({ status: 'updating', reason: null });
  });

  test('a failed update leaves its reason, is not tried again at once, and holds nobody else up', async () => {
    const updater = new StrictUpdater();
    const server = await rig.start({}, updater);
    const old = { ...VITALS, version: 'v1.0.0' };
    await until('both updates', async () => {
      for (const id of [2, 3]) await server.beat(id, old);
      return updater.calls.length === 2;
    });
    updater.end(2, new UserError('DISK', { en: 'no space left on w2', zh: 'w2 空间不足' }));
    await until('the reason', async () => (await statusOf(server, 2)) === 'outdated');
    for (let beats = 0; beats < 3; beats += 1) await server.beat(2, old);
    expect(await server.worker(2)).toMatchObject({ status: 'outdated', reason: 'no space left on w2' });
    expect(await statusOf(server, 3)).toBe('updating');
    updater.end(3);
    await server.beat(3);
    expect(await statusOf(server, 3)).toBe('online');
    expect(updater.calls.toSorted()).toEqual(['w2 v1.2.3', 'w3 v1.2.3']);
  });

  test('nobody follows a stack that may still go back', async () => {
    const updater = new StrictUpdater();
    const journal = join(rig.root, '.xingrin/journal');
    await mkdir(journal);
    const begin = { type: 'begin', id: 'x', at: '2026-01-01T00:00:00Z', plan: {}, process: 'p' };
    await writeFile(join(journal, 'x.jsonl'), `${JSON.stringify(begin)}\n`);
    const server = await rig.start({}, updater);
    for (let beats = 0; beats < 3; beats += 1) await server.beat(2, { ...VITALS, version: 'v1.0.0' });
    expect(await statusOf(server, 2)).toBe('online');
    await writeFile(
      join(journal, 'x.jsonl'),
      `${JSON.stringify(begin)}\n${JSON.stringify({ type: 'end', outcome: 'done' })}\n`,
    );
    await until('the update', async () => {
      await server.beat(2, { ...VITALS, version: 'v1.0.0' });
      return updater.calls.length === 1;
    });
    updater.end(2);
  });
});

describe('agents of XingRin', () => {
  test('come in without a token where that is allowed, and only there', async () => {
    const server = await rig.start({ agentAuth: 'optional' });
    const { body } = await server.call('/api/workers/register/', post({ name: 'stock', is_local: true }));
    const id = Number(body['workerId']);
    expect((await server.call(`/api/workers/${id}/heartbeat`, post(VITALS))).body).toMatchObject({ status: 'ok' });
    expect((await server.call(`/api/workers/2/heartbeat/`, post(VITALS))).status).toBe(200);
    // A token that is shown must still be right.
    expect((await server.beat(2, VITALS, tokenOf(3))).status).toBe(403);
    expect((await server.call('/api/workers/')).status).toBe(401);
  });
});

describe('the event stream', () => {
  /** Reads a stream until it has so many events, or the text is there. */
  async function read(server: RunningServer, wanted: number, headers: Record<string, string> = {}): Promise<string[]> {
    const response = await fetch(`${server.url}/api/events/`, { headers: { ...asAdmin.headers, ...headers } });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array);
      const events = text.split('\n\n').filter((part) => part.includes('event: '));
      if (events.length >= wanted) return events;
    }
    return [];
  }
  const idIn = (event: string | undefined): string => /^id: (.+)$/m.exec(event ?? '')?.[1] ?? '';

  test('tells every change, and to who comes back those that it missed', async () => {
    const server = await rig.start();
    const live = read(server, 2);
    await until('the reader', async () =>
      (await (await fetch(`${server.url}/metrics`, asAdmin)).text()).includes('xingrin_event_streams 1'),
    );
    await server.beat(2);
    await server.beat(3);
    const [first, second] = await live;
    expect(first).toContain('"worker_id":2,"name":"w2","from":null,"to":"online"');
    expect(second).toContain('"worker_id":3');
    const missed = await read(server, 1, { 'last-event-id': idIn(first) });
    expect(missed).toEqual([second]);
    // Also after a restart.
    await server.stop();
    const restarted = await rig.start();
    expect(await read(restarted, 1, { 'last-event-id': idIn(first) })).toEqual([second]);
    expect((await read(restarted, 1, { 'last-event-id': '5-0' }))[0]).toContain('event: reset');
  });
});

describe('what operators look at', () => {
  test('metrics, in the format of Prometheus', async () => {
    const server = await rig.start();
    await server.beat(2);
    await server.beat(2, 'x');
    const response = await fetch(`${server.url}/metrics`, asAdmin);
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
    const text = await response.text();
    expect(text).toContain('xingrin_workers{status="online"} 1\n');
    expect(text).toContain('xingrin_heartbeats_total 1\n');
    expect(text).toContain('xingrin_http_answers_total{status="400"} 1\n');
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[a-z0-9]+"\})? [0-9.e+]+)$/);
  });

  test('the description of every route', async () => {
    const server = await rig.start();
    const { body } = await server.call('/openapi.json');
    const paths = body['paths'] as Record<string, Record<string, unknown>>;
    expect(body['openapi']).toBe('3.1.0');
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/api/', '/api/workers/{id}/heartbeat/', '/api/events/', '/livez', '/metrics']),
    );
    expect(paths['/api/workers/{id}/']).toHaveProperty('delete');
    expect(JSON.stringify(paths['/api/workers/{id}/heartbeat/'])).toContain('"cpu_percent":{"type":"number"');
  });

  test.each(['/api/', '/api', '/livez', '/readyz'])('%s', async (path) => {
    const server = await rig.start();
    expect(await server.call(path)).toMatchObject({ status: 200, body: { status: 'ok', version: 'v1.2.3' } });
    expect((await fetch(server.url + path, { method: 'HEAD' })).status).toBe(200);
  });
});

describe('a server that ends', () => {
  test('keeps what it knows: nobody is offline, no registration lost, no id given twice', async () => {
    const first = await rig.start();
    const guest = Number((await first.register('guest')).body['worker_id']);
    await first.beat(2);
    await first.beat(guest, VITALS, AGENT_SECRET);
    await first.stop();
    const second = await rig.start();
    expect(await second.worker(2)).toMatchObject({ status: 'online', version: 'v1.2.3', cpu_percent: 10 });
    expect(await second.worker(guest)).toMatchObject({ status: 'online', name: 'guest' });
    expect((await second.register('guest')).body).toMatchObject({ worker_id: guest, created: false });
    expect((await second.register('other')).body).toMatchObject({ worker_id: guest + 1, created: true });
  });

  test('a damaged state is put aside, and everybody comes back', async () => {
    await (await rig.start()).stop();
    const path = join(rig.root, '.xingrin/server/state.json');
    await writeFile(path, '{"schema":"xingrin-ser');
    const server = await rig.start();
    expect(await readFile(`${path}.damaged`, 'utf8')).toContain('xingrin-ser');
    expect((await server.beat(2)).status).toBe(200);
    expect((await server.register('guest')).status).toBe(200);
  });

  test('a torn line in the journal did not happen, and takes nothing with it', async () => {
    await (await rig.start()).stop();
    const path = join(rig.root, '.xingrin/server/events.jsonl');
    const server = await rig.start();
    await server.register('one');
    await server.stop();
    await writeFile(path, `${await readFile(path, 'utf8')}{"id":"9999999999999-0","workerId":7,"re`);
    const again = await rig.start();
    expect((await again.register('one')).body).toMatchObject({ created: false });
    expect(await again.workers()).toHaveLength(3);
  });

  test('ends its event streams and lets requests end', async () => {
    const server = await rig.start();
    const stream = await fetch(`${server.url}/api/events/`, { headers: bearer(ADMIN_TOKEN) });
    const ended = stream.text();
    await server.stop();
    expect(await ended).toContain('retry:');
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  });
});
