import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../src/effects/clock.ts';

const DOCKER = join(import.meta.dirname, '../../templates/project/docker');
const TOKEN = 'a-Token_of.agents';

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xingrin-agent-'));
  children = [];
  mkdirSync(join(folder, 'proc'));
  writeFileSync(join(folder, 'proc/stat'), 'cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n');
  writeFileSync(join(folder, 'proc/meminfo'), 'MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 2000 kB\n');
});
afterEach(async () => {
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  rmSync(folder, { recursive: true, force: true });
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

function startAgent(env: Record<string, string>): { child: ChildProcess; said: () => string } {
  const child = spawn('sh', [join(DOCKER, 'agent/agent.sh')], {
    env: { PATH: '/usr/bin:/bin', TMPDIR: folder, HOST_PROC: join(folder, 'proc'), AGENT_TOKEN: TOKEN, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, said: () => said };
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

describe('the agent', () => {
  test('registers under any name and shows load, version and life', async () => {
    const name = '"a\\b" \n\t\u0001 $(touch x) `id` %s %d \\u0041 星环 {"is_local":false}\n';
    const { url } = await startServer();
    startAgent({ SERVER_URL: `${url}/`, WORKER_NAME: name, IS_LOCAL: 'true' });
    await until('a heartbeat', 10_000, async () => (await workersOf(url))[0]?.['status'] === 'online');
    expect(await workersOf(url)).toMatchObject([
      { id: 1, name, is_local: true, version: 'unversioned', cpu_percent: 20, memory_percent: 75 },
    ]);
  });

  test('ends at once on SIGTERM, also with a server that never answers', async () => {
    const { url, child: server } = await startServer();
    server.kill('SIGSTOP');
    const { child, said } = startAgent({ SERVER_URL: url });
    await until('the agent to begin', 5_000, () => said().includes('for http'));
    const begin = performance.now();
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    expect(performance.now() - begin).toBeLessThan(1_000);
    server.kill('SIGCONT');
  });

  test('registers again with a server that has forgotten it', async () => {
    const first = await startServer();
    const { said } = startAgent({ SERVER_URL: first.url, WORKER_NAME: 'w' });
    await until('a heartbeat', 10_000, async () => (await workersOf(first.url))[0]?.['status'] === 'online');
    first.child.kill('SIGTERM');
    await once(first.child, 'exit');
    const second = await startServer({ PORT: new URL(first.url).port });
    await until('a heartbeat', 15_000, async () => (await workersOf(second.url))[0]?.['status'] === 'online');
    expect(said()).toContain('no luck');
  }, 30_000);

  test.each([
    [{ SERVER_URL: '' }, 'SERVER_URL'],
    [{ SERVER_URL: 'file:///etc/passwd' }, 'SERVER_URL'],
    [{ SERVER_URL: 'http://127.0.0.1:1', AGENT_TOKEN: 'a"b' }, 'AGENT_TOKEN'],
  ])('refuses %j', async (env, name) => {
    const { child, said } = startAgent(env as unknown as Record<string, string>);
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(2);
    expect(said()).toContain(name);
    expect(said()).not.toContain('a"b');
  });
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
