import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { init } from '../../src/commands/init.ts';
import { until } from '../until.ts';

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'xingrin-server-file-'));
  await init({ directory: project, name: 'shop' });
});
afterAll(() => rm(project, { recursive: true, force: true }));

test('the server that init writes runs out of one file, knows its version, and keeps what it knows when it ends', async () => {
  const file = join(project, 'docker/server/server.mjs');
  expect((await stat(file)).size).toBeLessThan(3_000_000);
  // In a folder without packages: whatever it needs is in it.
  const child = spawn(process.execPath, [file], {
    cwd: project,
    env: {
      PATH: '/nowhere',
      PROJECT: project,
      PORT: '0',
      IMAGE_TAG: 'v1.2.3',
      AGENT_TOKEN: 'of-agents',
      ADMIN_TOKEN: 'of-operators',
      WORKER_NAME: 'local',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('the server to listen', () => said.includes('"serving"'));
    const url = `http://127.0.0.1:${/"port":(\d+)/.exec(said)?.[1]}`;
    const ask = async (path: string, token?: string, body?: unknown): Promise<[number, unknown]> => {
      const response = await fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return [response.status, await response.json()];
    };
    expect(await ask('/api/')).toEqual([200, { status: 'ok', version: 'v1.2.3' }]);
    expect((await ask('/api/workers/'))[0]).toBe(401);
    const [, { worker_id: id }] = (await ask('/api/workers/register/', 'of-agents', {
      name: 'local',
      is_local: true,
    })) as [number, { worker_id: number }];
    expect(id).toBe(1);
    const beat = { cpu_percent: 1, memory_percent: 2, version: 'v1.2.3' };
    expect((await ask('/api/workers/1/heartbeat/', 'of-agents', beat))[1]).toMatchObject({ need_update: false });
    expect((await ask('/api/workers/', 'of-operators'))[1]).toMatchObject({
      workers: [{ id: 1, name: 'local', is_local: true, status: 'online', version: 'v1.2.3' }],
    });
    expect(said).not.toContain('of-operators');
    child.kill('SIGTERM');
    expect(((await once(child, 'exit')) as [number | null])[0]).toBe(0);
    expect(await readFile(join(project, '.xingrin/server/state.json'), 'utf8')).toContain('"name":"local"');
  } finally {
    child.kill('SIGKILL');
  }
});
