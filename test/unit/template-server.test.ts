import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../src/effects/clock.ts';

const DOCKER = join(import.meta.dirname, '../../templates/project/docker');
const TOKEN = 'a-Token_of.agents';

let children: ChildProcess[];
beforeEach(() => {
  children = [];
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
});

/** Starts the server of the template and resolves to its address. */
async function startServer(env: Record<string, string> = {}): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [join(DOCKER, 'server/server.mjs')], {
    env: { PORT: '0', IMAGE_TAG: 'v1.2.3', AGENT_TOKEN: TOKEN, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until('the server to listen', 10_000, () => said.includes('\n'));
  return { url: `http://127.0.0.1:${/port (\d+)/.exec(said)?.[1]}`, child };
}

async function call(url: string, init: RequestInit = {}): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, init);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function workersOf(url: string): Promise<Record<string, unknown>[]> {
  return (await call(`${url}/api/workers/`)).body['workers'] as Record<string, unknown>[];
}

const post = (body: unknown, token = TOKEN): RequestInit => ({
  method: 'POST',
  headers: { authorization: `Bearer ${token}` },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

describe('the server', () => {
  test.each(['/api/', '/api', '/livez', '/readyz'])('answers %s with its version', async (path) => {
    const { url } = await startServer();
    expect(await call(url + path)).toEqual({ status: 200, body: { status: 'ok', version: 'v1.2.3' } });
  });

  test('gives a name one id, and says what a heartbeat must know', async () => {
    const { url } = await startServer();
    const register = `${url}/api/workers/register/`;
    expect(await call(register, post({ name: 'w' }))).toEqual({
      status: 201,
      body: { worker_id: 1, workerId: 1, name: 'w', created: true },
    });
    expect((await call(register, post({ name: 'w' }))).body).toMatchObject({ worker_id: 1, created: false });
    const beat = `${url}/api/workers/1/heartbeat/`;
    expect((await call(beat, post({ cpu: 1, mem: 2, version: 'v1.2.3' }))).body).toEqual({
      status: 'ok',
      need_update: false,
      server_version: 'v1.2.3',
    });
    expect((await call(beat, post({ cpu_percent: 1, memory_percent: 2, version: 'v1.2.2' }))).body).toMatchObject({
      need_update: true,
    });
  });

  test.each([
    ['a word for a number', '/api/workers/1/heartbeat/', post({ cpu: 'abc', mem: 2 }), 400],
    ['less than nothing', '/api/workers/1/heartbeat/', post({ cpu: -1e9, mem: 2 }), 400],
    ['no name', '/api/workers/register/', post({ name: ' ' }), 400],
    ['no JSON', '/api/workers/register/', post('{'), 400],
    ['no object', '/api/workers/register/', post([]), 400],
    ['too much', '/api/workers/register/', post('x'.repeat(70_000)), 413],
    ['a wrong token', '/api/workers/register/', post({ name: 'w' }, 'wrong'), 401],
    ['a stranger', '/api/workers/77/heartbeat/', post({ cpu: 1, mem: 2 }), 404],
    ['nothing there', '/nope', {}, 404],
    ['a wrong method', '/api/', { method: 'DELETE' }, 405],
  ])('refuses %s', async (_what, path, request, status) => {
    const { url } = await startServer();
    await call(`${url}/api/workers/register/`, post({ name: 'first' }));
    const answer = await call(url + path, request);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error: { code: expect.any(String), message: expect.any(String) } });
    expect(await workersOf(url)).toMatchObject([{ name: 'first', status: 'pending' }]);
  });

  test('ends at once on SIGTERM, also with connections open', async () => {
    const { url, child } = await startServer();
    await call(`${url}/api/`);
    const begin = performance.now();
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(performance.now() - begin).toBeLessThan(1_500);
  });
});
