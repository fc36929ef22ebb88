import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FIRST_UNLISTED } from '../../src/server/store.ts';
import { openServerRig, type RunningServer, type ServerRig } from './server-rig.ts';

let rig: ServerRig;
beforeEach(async () => {
  rig = await openServerRig();
});
afterEach(() => rig?.close());

/** What the agent of the public XingRin asks, byte for byte as its curl sends it, and what it takes out of the answers. */
class StockAgent {
  readonly #url: string;

  constructor({ url }: RunningServer) {
    this.#url = url;
  }

  async ready(): Promise<boolean> {
    return (await execa('curl', ['-k', '-s', `${this.#url}/api/`], { reject: false })).exitCode === 0;
  }

  /** NaN if it finds no number: then it asks again five seconds later. */
  async register(name: string, local: boolean): Promise<number> {
    const answer = await this.#post(
      '/api/workers/register/',
      `{\n    "name": "${name}",\n    "is_local": ${String(local)}\n}`,
    );
    return Number(/"workerId":\s*(\d+)/.exec(answer)?.[1]);
  }

  async beat(id: number, fields: readonly string[]): Promise<Heard> {
    const body = `{\n    ${fields.join(',\n    ')}\n}`;
    const answer = await this.#post(`/api/workers/${id}/heartbeat/`, body, '-w', '%{http_code}');
    return {
      code: answer.slice(-3),
      needUpdate: /"need_update":\s*(true|false)/.exec(answer)?.[1] ?? null,
      serverVersion: /"server_version":\s*"([^"]+)"/.exec(answer)?.[1] ?? null,
    };
  }

  async #post(path: string, body: string, ...more: string[]): Promise<string> {
    const request = ['-X', 'POST', '-H', 'Content-Type: application/json', '-d', body, `${this.#url}${path}`];
    return (await execa('curl', ['-k', '-s', ...more, ...request])).stdout;
  }
}

interface Heard {
  readonly code: string;
  readonly needUpdate: string | null;
  readonly serverVersion: string | null;
}

const LOAD = ['"cpu_percent": 12.5', '"memory_percent": 100.0'];
const RIGHT: Heard = { code: '200', needUpdate: 'false', serverVersion: 'v1.2.3' };

test('agents of the public XingRin, of every generation, register and beat, and see which version the server has', async () => {
  const server = await rig.start({ agentAuth: 'optional' });
  const agent = new StockAgent(server);
  expect(await agent.ready()).toBe(true);
  const id = await agent.register('Worker-3f2a', true);
  expect(id).toBe(FIRST_UNLISTED);
  expect(await agent.register('Worker-3f2a', true)).toBe(id);
  // The first ones told no version, and one that was built without IMAGE_TAG does not know it.
  expect(await agent.beat(id, LOAD)).toEqual(RIGHT);
  expect(await server.worker(id)).toMatchObject({ status: 'online', version: null, cpu_percent: 12.5 });
  expect(await agent.beat(id, [...LOAD, '"version": "unknown"'])).toEqual(RIGHT);
  expect(await agent.beat(id, [...LOAD, '"version": "v1.0.9"'])).toEqual({ ...RIGHT, needUpdate: 'true' });
  expect(await server.worker(id)).toMatchObject({ status: 'outdated', reason: 'run xingrin update' });
  expect(await agent.beat(id, [...LOAD, '"version": "v1.2.3"'])).toEqual(RIGHT);
  expect(await server.worker(id)).toMatchObject({ status: 'online', reason: null, version: 'v1.2.3' });
  // On a remote host it was told its number.
  expect(await agent.beat(2, [...LOAD, '"version": "v1.2.3"'])).toEqual(RIGHT);
  expect(await server.worker(2)).toMatchObject({ name: 'w2', status: 'online' });
});

test('what it sends where a tool is missing over there is refused, and hurts nobody', async () => {
  const server = await rig.start({ agentAuth: 'optional' });
  const agent = new StockAgent(server);
  await agent.beat(2, LOAD);
  for (const broken of [
    ['"cpu_percent": 3.0', '"memory_percent": '],
    ['"cpu_percent": -nan', '"memory_percent": 1'],
  ])
    expect(await agent.beat(2, broken)).toMatchObject({ code: '400', needUpdate: null });
  expect(await server.worker(2)).toMatchObject({ status: 'online', cpu_percent: 12.5, memory_percent: 100 });
  expect(await agent.beat(77, LOAD)).toMatchObject({ code: '404' });
});

test('where a token is needed it does not get in', async () => {
  const server = await rig.start();
  const agent = new StockAgent(server);
  expect(await agent.register('Worker-3f2a', true)).toBeNaN();
  expect(await agent.beat(2, LOAD)).toMatchObject({ code: '401' });
  expect(await server.worker(2)).toMatchObject({ status: 'pending' });
});
