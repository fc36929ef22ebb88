import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { traces } from './traces.ts';

const ENTRY = new URL('../../bin/xingrin.js', import.meta.url).pathname;
const RECORDS = '/var/lib/xingrin/sandbox';

/** Nothing of what the caller has set may reach the demo: neither his engine nor his proxy nor his repository. */
const HOSTILE = {
  DOCKER_HOST: 'unix:///nowhere/docker.sock',
  DOCKER_CONTEXT: 'nowhere',
  DOCKER_USER: 'somebody',
  GIT_DIR: '/nowhere',
  HTTP_PROXY: 'http://127.0.0.1:1',
  HTTPS_PROXY: 'http://127.0.0.1:1',
  IMAGE_TAG: 'v9.9.9',
};

interface Act {
  readonly act: string;
  readonly place: string;
  readonly typed: string;
  readonly version: string | null;
  readonly proof: string;
  readonly away: number | null;
  readonly seconds: number;
}

interface Document {
  readonly ok: boolean;
  readonly exitCode: number;
  readonly data: {
    readonly acts: readonly Act[];
    readonly kept: { readonly address: string; readonly projects: readonly string[]; readonly remove: string } | null;
  };
  readonly error?: { readonly code: string };
}

interface Started {
  readonly child: ChildProcess;
  /** What it has said so far. */
  said(): string;
  /** Exit code, or the signal that ended it, and its document. */
  readonly ended: Promise<{ readonly code: number | string; readonly stdout: string }>;
}

/** A folder that serves as TMPDIR; what is in it afterwards was left behind. */
let temporary: string;
beforeAll(async () => {
  temporary = await mkdtemp('/tmp/xingrin-e2e-');
});
afterAll(() => rm(temporary, { recursive: true, force: true }));

function start(...options: readonly string[]): Started {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: temporary, LANG: 'C.UTF-8', ...HOSTILE };
  const child = spawn(process.execPath, [ENTRY, 'demo', '--json', ...options], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const ended = once(child, 'close').then(([code, signal]) => ({ code: (code ?? signal) as number | string, stdout }));
  return { child, ended, said: () => stderr };
}

async function demo(
  ...options: readonly string[]
): Promise<{ code: number | string; document: Document; said: string }> {
  const started = start(...options);
  const { code, stdout } = await started.ended;
  return { code, document: JSON.parse(stdout) as Document, said: started.said() };
}

/** The sandbox parts that a process has. */
async function partsOf(pid: number): Promise<string[]> {
  const ids: string[] = [];
  for (const name of await readdir(RECORDS)) {
    if (!/^xr\w+\.json$/.test(name)) continue;
    const text = await readFile(join(RECORDS, name), 'utf8').catch(() => '{}');
    const { id, owner } = JSON.parse(text || '{}') as { id?: string; owner?: { pid: number } | null };
    if (id !== undefined && owner?.pid === pid) ids.push(id);
  }
  return ids;
}

/** Waits until the demo has come to an act. */
async function comesTo(started: Started, act: string): Promise<string[]> {
  await until(`the demo to come to ${act}`, () => {
    if (started.child.exitCode !== null) throw new Error(started.said());
    return started.said().includes(`] ${act}\n`);
  });
  return partsOf(started.child.pid ?? 0);
}

/** A GET whose certificate must come from that authority. */
function page(address: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(address, { ca, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
}

test('walks the journey for real, proves each act at the front door, goes on with --keep and ends with --clean', async () => {
  const { code, document, said } = await demo('--yes', '--keep');

  expect(said).not.toContain('error');
  expect(code).toBe(0);
  const { acts, kept } = document.data;
  expect(acts.map(({ place, typed, version }) => `${place}$ ${typed} -> ${version}`)).toEqual([
    'dev$ xingrin init shop -> null',
    'dev$ xingrin release v1.0.0 -> null',
    'dev$ xingrin publish v1.0.0 -> null',
    'server$ xingrin install -> v1.0.0',
    'server$ xingrin status -> v1.0.0',
    'server$ curl …/api/workers/ -> v1.0.0',
    'dev$ git commit; git push -> v1.0.0',
    'dev$ xingrin release v1.1.0 -> v1.0.0',
    'dev$ xingrin publish v1.1.0 -> v1.0.0',
    'server$ xingrin update -> v1.1.0',
    'server$ xingrin rollback -> v1.0.0',
  ]);
  expect(acts.filter(({ away }) => away !== null).map(({ act }) => act)).toEqual(['update', 'rollback']);
  expect(said).toMatch(/· \[ 7\/13\] server\$ xingrin status\n✓ \[ 7\/13\] server\$ xingrin status {2}\S/);

  const [dev = '', server = ''] = kept?.projects ?? [];
  const authority = await readFile(join(server, 'docker', 'nginx', 'ssl', 'ca.pem'), 'utf8');
  expect(await page(`${kept?.address}api/`, authority)).toContain('"version":"v1.0.0"');
  expect(await readFile(join(dev, 'docker', 'frontend', 'www', 'index.html'), 'utf8')).toContain('Hello from v1.1.0');
  const folder = dirname(dirname(dev));
  const { parts } = JSON.parse(await readFile(join(folder, 'kept.json'), 'utf8')) as { parts: string[] };
  expect(parts).toHaveLength(2);
  expect(await traces(parts)).not.toEqual([]);
  const { stdout } = await promisify(execFile)(join(folder, 'bin', 'xingrin'), ['--version']);
  expect(stdout).toMatch(/^v\d/);

  expect((await demo('--clean')).code).toBe(2);
  expect(kept?.remove).toBe(`${ENTRY} demo --clean`);
  expect((await demo('--clean', '--yes')).document.ok).toBe(true);
  expect(await traces(parts)).toEqual([]);
  expect(await readdir(temporary)).toEqual([]);
});

describe('what it began is gone', () => {
  test.each([
    ['SIGINT', 130, 'INTERRUPTED'],
    ['SIGTERM', 143, 'TERMINATED'],
  ] as const)('after %s in the middle', async (signal, code, error) => {
    const started = start('--yes');
    const parts = await comesTo(started, 'dev$ xingrin publish v1.0.0');
    expect(parts).toHaveLength(2);
    started.child.kill(signal);
    const ended = await started.ended;
    expect(ended.code).toBe(code);
    const document = JSON.parse(ended.stdout) as Document;
    expect(document.error?.code).toBe(error);
    expect(document.data.acts.map(({ act }) => act)).toEqual(['init', 'release']);
    expect(await traces(parts)).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  });

  test('after kill -9 in the middle, as soon as the next one begins', async () => {
    const killed = start('--yes');
    const parts = await comesTo(killed, 'dev$ xingrin publish v1.0.0');
    killed.child.kill('SIGKILL');
    expect((await killed.ended).code).toBe('SIGKILL');
    expect(await traces(parts)).not.toEqual([]);

    const next = start('--yes');
    await comesTo(next, 'dev$ xingrin init shop');
    expect(await traces(parts)).toEqual([]);
    next.child.kill('SIGTERM');
    expect((await next.ended).code).toBe(143);
  });
});

test('asks before it begins: without a terminal and without --yes it exits 2 and has begun nothing', async () => {
  const started = start();
  const { code, stdout } = await started.ended;
  expect(code).toBe(2);
  expect((JSON.parse(stdout) as Document).error?.code).toBe('CONFIRMATION_NEEDED');
  expect(await partsOf(started.child.pid ?? 0)).toEqual([]);
});
