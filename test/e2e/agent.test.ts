import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { makeProc, openDoor, shellsIn, startAgent, usual, type Agent, type Door, type Shell } from './agent-rig.ts';

const TOKEN = 'a-Token_of.agents';
const HOSTILE = '"a\\b" \n\t\u0001 $(touch x) `id` %s %d \\u0041 星环 🛰️ "worker_id": 9, {"is_local":false}\n';

let home: string;
let shells: Awaited<ReturnType<typeof shellsIn>>;
let proc: string;
let door: Door;
let other: Door;
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'xingrin-agent-'));
  shells = await shellsIn(home);
  proc = await makeProc(home);
  [door, other] = await Promise.all([openDoor([]), openDoor([])]);
});
afterAll(async () => {
  await Promise.all([door.down(), other.down()]);
  rmSync(home, { recursive: true, force: true });
});

let agents: Agent[];
beforeEach(() => {
  agents = [];
  door.calls.length = 0;
  door.answer = usual;
});
afterEach(async () => {
  for (const { child } of agents) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
});

let count = 0;
async function agent(shell: Shell, env: Record<string, string> = {}): Promise<Agent> {
  const folder = join(home, `agent ${(count += 1)}`);
  await mkdir(folder);
  const started = startAgent(shell, {
    TMPDIR: folder,
    HOST_PROC: proc,
    SERVER_URL: `https://127.0.0.1:${door.port}/`,
    SERVER_CA: door.authority,
    AGENT_TOKEN: TOKEN,
    ...env,
  });
  agents.push(started);
  return started;
}

const beats = (): number => door.calls.filter(({ path }) => path.endsWith('/heartbeat/')).length;
const registrations = (): number => door.calls.filter(({ path }) => path.endsWith('/register/')).length;

describe.each(['dash', 'busybox'] as const)('under %s, the agent', (name) => {
  test('registers under any name and shows load, version and life, over verified TLS', async () => {
    const { check } = await agent(shells[name], { WORKER_NAME: HOSTILE, IS_LOCAL: 'true' });
    expect(await check()).toBe(1);
    await until('two heartbeats', () => beats() >= 2);
    expect(await check()).toBe(0);
    const [first, second] = door.calls;
    expect(first).toMatchObject({ path: '/api/workers/register/', body: { name: HOSTILE, is_local: true } });
    expect(second).toMatchObject({
      path: '/api/workers/7/heartbeat/',
      body: { cpu_percent: 20, memory_percent: 75, version: 'unversioned' },
    });
    for (const { token } of door.calls) expect(token).toBe(`Bearer ${TOKEN}`);
    expect(registrations()).toBe(1);
  });

  test('shows its token in no list of processes, and ends at once on SIGTERM with a server that is silent', async () => {
    door.answer = () => 'hang';
    const { child, family, said } = await agent(shells[name], { WORKER_ID: '3' });
    await until('a request under way', () => beats() === 1);
    const pids = await family();
    const lists = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8')));
    expect(lists.some((words) => words.startsWith('curl'))).toBe(true);
    expect(lists.join()).not.toContain(TOKEN);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code).toBe(0);
    // It did not wait for the answer until its limit.
    expect(said()).not.toContain('no luck');
    await until('curl to be gone', async () => {
      const left = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
      return !left.some((words) => words.startsWith('curl'));
    });
  });

  test('sends nothing to a server of another authority, nor to one with another name', async () => {
    const stranger = await agent(shells[name], { SERVER_CA: other.authority });
    const misnamed = await agent(shells[name], { SERVER_URL: `https://127.0.0.2:${door.port}` });
    // Without an authority of its own it believes the usual ones, and they do not know ours.
    const trusting = await agent(shells[name], { SERVER_CA: '' });
    for (const refused of [stranger, misnamed, trusting]) {
      await until('two refusals', () => refused.said().split('no luck').length > 2);
      expect(refused.said()).toContain('curl: (60)');
      expect(await refused.check()).toBe(1);
    }
    expect(door.calls).toEqual([]);
  });
});

describe('the agent', () => {
  test('waits longer and longer for a server that is away, never long, and is there when it comes back', async () => {
    const both = [await agent(shells.dash, { WORKER_ID: '3' }), await agent(shells.busybox, { WORKER_ID: '4' })];
    const beatsOf = (id: number): number => door.calls.filter(({ path }) => path.includes(`/${id}/`)).length;
    await until('a heartbeat of each', () => beatsOf(3) > 0 && beatsOf(4) > 0);
    await door.down();
    await until('four pauses', () => both.every(({ said }) => said().split('next try in').length > 4));
    door.calls.length = 0;
    await door.up();
    await until('a heartbeat of each', () => beatsOf(3) > 0 && beatsOf(4) > 0);
    for (const { said } of both) {
      const pauses = [...said().matchAll(/next try in (\d+) s/g)].map(([, seconds]) => Number(seconds));
      for (const [index, pause] of pauses.entries()) {
        const base = Math.min(2 ** index, 4);
        expect(pause).toBeGreaterThanOrEqual(base);
        expect(pause).toBeLessThanOrEqual(2 * base);
      }
      await until('word of it', () => said().includes('answers again'));
    }
    expect(registrations()).toBe(0);
  });

  test('registers anew with a server that has forgotten it, unless it was given its number', async () => {
    let forget = true;
    door.answer = (call) => {
      if (!call.path.endsWith('/heartbeat/') || !forget) return usual(call);
      return [404, { error: { code: 'NOT_FOUND', message: 'no worker' } }];
    };
    const named = await agent(shells.dash, { WORKER_NAME: 'w' });
    await until('a second registration', () => registrations() === 2);
    expect(named.said()).toContain('the server said: {"error":{"code":"NOT_FOUND","message":"no worker"}}');
    expect(await named.check()).toBe(1);
    forget = false;
    await until('a heartbeat that counts', async () => (await named.check()) === 0);
    named.child.kill('SIGTERM');
    await once(named.child, 'exit');

    forget = true;
    door.calls.length = 0;
    await agent(shells.dash, { WORKER_ID: '12' });
    await until('two heartbeats', () => beats() === 2);
    expect(door.calls.map(({ path }) => path)).toEqual(['/api/workers/12/heartbeat/', '/api/workers/12/heartbeat/']);
  });

  test.each<[string, object, object, string]>([
    ['the first, without versions', { worker_id: 41, name: 'w', created: true }, { status: 'ok' }, 'as worker 41'],
    [
      'a later one, in snake case',
      { worker_id: 41, name: 'w', created: false },
      { status: 'ok', need_update: true, server_version: 'v9.9.9' },
      'the server runs v9.9.9',
    ],
    [
      'a later one, in camel case',
      { workerId: 41, name: 'w', created: true },
      { status: 'ok', needUpdate: true, serverVersion: 'v9.9.9' },
      'the server runs v9.9.9',
    ],
  ])('understands a server that speaks as the public one does: %s', async (_generation, registered, accepted, word) => {
    door.answer = ({ path }) => [200, path.endsWith('/register/') ? registered : accepted];
    const { said, check } = await agent(shells.dash, { AGENT_TOKEN: '', WORKER_NAME: 'w' });
    await until('a heartbeat that counts', async () => (await check()) === 0 && said().includes(word));
    expect(door.calls[1]?.path).toBe('/api/workers/41/heartbeat/');
    expect(door.calls[1]?.token).toBeUndefined();
  });

  test.each([
    ['a page instead of an answer', [200, '<html>"worker_id"</html>']],
    ['a way elsewhere', [302, '']],
    ['more than anybody has to say', [200, `{"worker_id":7,"x":"${'x'.repeat(100_000)}"}`]],
    ['a number that is none', [200, '{"worker_id":"7/../../x"}']],
  ] as const)('does not take %s for a registration', async (_what, answer) => {
    door.answer = () => answer;
    const { said } = await agent(shells.dash, { WORKER_NAME: 'w' });
    await until('two refusals', () => said().split('no luck').length > 2);
    expect(registrations()).toBe(door.calls.length);
  });

  test.each([
    [{ SERVER_URL: '' }, 'SERVER_URL'],
    [{ SERVER_URL: 'file:///etc/passwd' }, 'SERVER_URL'],
    [{ AGENT_TOKEN: 'a"b' }, 'AGENT_TOKEN'],
    [{ WORKER_ID: '7/../8' }, 'WORKER_ID'],
    [{ SERVER_CA: '/etc/ssl/ca.pem' }, 'SERVER_CA'],
  ])('refuses %j', async (env, name) => {
    const { child, said } = await agent(shells.dash, env as unknown as Record<string, string>);
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(2);
    expect(said()).toContain(name);
    expect(said()).not.toContain('a"b');
  });
});
