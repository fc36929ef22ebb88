// Heartbeats per second against a bare node:http server that parses and answers the same JSON, with the embedded state and with Redis, in
// turns, from the same generator (wrk). Then 10,000 workers that beat every three seconds, a third of them each second.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentToken } from '../src/effects/agent-token.ts';
import { run } from '../src/effects/process.ts';
import { FIRST_UNLISTED } from '../src/server/store.ts';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { openRedisRig } from '../test/e2e/redis-rig.ts';

const WORKERS = 10_000;
/** Those of them in the inventory; the others have registered. */
const DECLARED = 1_000;
const ROUNDS = 9;
/** Seconds of each measurement. */
const WARM_UP = 3;
const MEASURED = 3;
const STEADY = 30;
const CONNECTIONS = 64;
/** Those over which the fleet beats, and the milliseconds between two beats of one: together each worker beats every three seconds. */
const STEADY_CONNECTIONS = 1_000;
const STEADY_PAUSE = 300;
const SECRET = 'secret-of-the-bench';
const ADMIN_TOKEN = 'admin-of-the-bench';
const BUNDLE = new URL('../dist/server.mjs', import.meta.url).href;
/** A folder for profiles, to be read in Chromium; empty: none are made. */
const PROFILES = process.env['CPU_PROFILES'] ?? '';

/** Answers our questions for memory beside what it serves. */
const PROBE = `process.on('message', async () => {
  await new Promise((resolve) => void setTimeout(resolve, 2_000));
  for (let round = 0; round < 3; round += 1) globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  process.send(heapUsed + external);
});`;

const BARE = `${PROBE}
const { createServer } = await import('node:http');
const answer = { status: 'ok', need_update: false, server_version: 'v1.2.3' };
const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  request.on('end', () => {
    JSON.parse(text);
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(answer));
  });
});
server.listen(0, () => console.log(JSON.stringify({ message: 'serving', port: server.address().port })));
process.on('SIGTERM', () => process.exit(0));`;

/** Every request is made before the first is sent: one for each worker, with its token and its own load. */
const SCRIPT = (list: string, pause: number): string => `
local requests, at, begun = {}, 0, 0
function init()
  for line in io.lines('${list}') do
    local path, token, body = line:match('^(%S+) (%S+) (.+)$')
    requests[#requests + 1] = wrk.format('POST', path, {
      ['Authorization'] = 'Bearer ' .. token, ['Content-Type'] = 'application/json' }, body)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
${
  pause === 0
    ? ''
    : `function delay()
  begun = begun + 1
  return begun <= ${STEADY_CONNECTIONS} and math.random(0, ${pause}) or ${pause}
end`
}
`;

interface Target {
  readonly name: string;
  readonly child: ChildProcess;
  readonly url: string;
  readonly log: string[];
}

const children = new Set<ChildProcess>();
const folder = await mkdtemp(join(tmpdir(), 'xingrin-bench-'));

async function start(name: string, code: string, env: Record<string, string> = {}): Promise<Target> {
  const profile =
    PROFILES === '' ? [] : ['--cpu-prof', `--cpu-prof-dir=${PROFILES}`, `--cpu-prof-name=${name}.cpuprofile`];
  const argv = ['--expose-gc', ...profile, '--input-type=module', '-e', code];
  const child = spawn(process.execPath, argv, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  children.add(child);
  const log: string[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    child.once('exit', (status) => reject(new Error(`${name} ended with ${status}: ${log.join('')}`)));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      log.push(text);
      const found = /"message":"serving","port":(\d+)/.exec(text)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
  });
  return { name, child, url: `http://127.0.0.1:${port}`, log };
}

/** A server that knows these workers; nobody has heard them yet. */
async function startServer(name: string, workers: number, env: Record<string, string> = {}): Promise<Target> {
  const root = await mkdtemp(join(folder, 'project-'));
  await mkdir(join(root, '.xingrin'));
  await mkdir(join(root, 'docker'));
  await writeFile(join(root, 'docker/docker-compose.yml'), 'services: {}\n');
  const declared = workerIds(workers).filter((id) => id < FIRST_UNLISTED);
  const list = declared.map((id) => `  - {id: ${id}, name: w${id}, host: 10.9.9.9}\n`).join('');
  await writeFile(
    join(root, '.xingrin/inventory.yaml'),
    `lastId: ${workers + 1}\nworkers:${list && '\n'}${list || ' []\n'}`,
  );
  const target = await start(name, `${PROBE}\nawait import(${JSON.stringify(BUNDLE)});`, {
    PROJECT: root,
    PORT: '0',
    AGENT_TOKEN: SECRET,
    ADMIN_TOKEN,
    IMAGE_TAG: 'v1.2.3',
    ...env,
  });
  for (const id of workerIds(workers)) {
    if (id < FIRST_UNLISTED) continue;
    const headers = { authorization: `Bearer ${SECRET}` };
    const body = JSON.stringify({ name: `w${id}`, is_local: false });
    const answer = await fetch(`${target.url}/api/workers/register/`, { method: 'POST', headers, body });
    const { worker_id } = (await answer.json()) as { worker_id: number };
    if (worker_id !== id) throw new Error(`w${id} got the id ${worker_id}`);
  }
  return target;
}

function workerIds(count: number): number[] {
  return Array.from({ length: count }, (_, n) => (n < DECLARED ? n + 2 : FIRST_UNLISTED + n - DECLARED));
}

async function stop({ child }: Target): Promise<void> {
  child.removeAllListeners('exit');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

async function memoryOf({ child }: Target): Promise<number> {
  const answer = once(child, 'message');
  child.send('memory');
  return Number((await answer)[0]);
}

interface Load {
  readonly rate: number;
  /** Milliseconds. */
  readonly p99: number;
}

async function load(target: Target, seconds: number, connections: number, script: string): Promise<Load> {
  const options = [
    `--connections=${connections}`,
    `--duration=${seconds}s`,
    '--timeout=10s',
    '--latency',
    '--threads=1',
  ];
  const { code, stdout, stderr } = await run(['wrk', ...options, `--script=${script}`, target.url]);
  const rate = Number(/^Requests\/sec:\s+([\d.]+)/m.exec(stdout)?.[1]);
  const [, p99 = '', unit = ''] = /^\s+99%\s+([\d.]+)(us|ms|s)/m.exec(stdout) ?? [];
  if (code !== 0 || Number.isNaN(rate)) throw new Error(`wrk: ${code}\n${stdout}${stderr}`);
  const failures = /^\s*(Non-2xx|Socket errors).*$/m.exec(stdout)?.[0];
  if (failures !== undefined) throw new Error(`${target.name}: ${failures.trim()}`);
  return { rate, p99: Number(p99) * ({ us: 0.001, ms: 1, s: 1_000 }[unit] ?? Number.NaN) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Microseconds of processor time that a process has used. */
async function usedBy({ child }: Target): Promise<number> {
  const text = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  const [user = Number.NaN, system = Number.NaN] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return (user + system) * 10_000;
}

/** The rates depend on what else the machine does, the processor time for each heartbeat hardly. */
async function throughput(targets: readonly Target[], script: string): Promise<void> {
  const rates = targets.map((): number[] => []);
  const costs = targets.map((): number[] => []);
  for (const target of targets) await load(target, WARM_UP, CONNECTIONS, script);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, target] of targets.entries()) {
      const before = await usedBy(target);
      const { rate } = await load(target, MEASURED, CONNECTIONS, script);
      rates[index]?.push(rate);
      costs[index]?.push(((await usedBy(target)) - before) / (rate * MEASURED));
    }
  }
  const bare = rates[0] ?? [];
  const bareCost = median(costs[0] ?? []);
  for (const [index, { name }] of targets.entries()) {
    const ratio = median((rates[index] ?? []).map((rate, round) => rate / (bare[round] ?? Number.NaN)));
    const cost = median(costs[index] ?? []);
    say(
      `${name}: ${median(rates[index] ?? []).toFixed(0)} heartbeats a second, ratio ${ratio.toFixed(2)}; ` +
        `${cost.toFixed(1)} µs of processor time each, ratio ${(bareCost / cost).toFixed(2)}`,
    );
  }
}

async function fleet(name: string, env: Record<string, string>, fast: string, steady: string): Promise<void> {
  const none = await startServer(`${name}-empty`, 0, env);
  const before = await memoryOf(none);
  await stop(none);
  const target = await startServer(`${name}-fleet`, WORKERS, env);
  // Everybody comes online first.
  await load(target, WARM_UP, CONNECTIONS, fast);
  const { rate, p99 } = await load(target, STEADY, STEADY_CONNECTIONS, steady);
  const list = await fetch(`${target.url}/api/workers/`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
  const { workers } = (await list.json()) as { workers: { status: string }[] };
  const online = workers.filter(({ status }) => status === 'online').length;
  const falsely = target.log.join('').split('"to":"offline"').length - 1;
  const each = ((await memoryOf(target)) - before) / WORKERS;
  await stop(target);
  say(
    `${name}, ${WORKERS} workers: ${rate.toFixed(0)} heartbeats a second, p99 ${p99.toFixed(1)} ms, ${each.toFixed(0)} bytes a worker, ` +
      `${online} online, ${falsely} falsely offline`,
  );
}

async function scriptFile(name: string, lines: readonly string[], pause: number): Promise<string> {
  const list = join(folder, `${name}.txt`);
  await writeFile(list, `${lines.join('\n')}\n`);
  const path = join(folder, `${name}.lua`);
  await writeFile(path, SCRIPT(list, pause));
  return path;
}

await prepareMachine({ wrk: 'wrk' });
const redis = await openRedisRig();
try {
  const beats = workerIds(WORKERS).map((id, n) => {
    const body = { cpu_percent: (n * 7) % 101, memory_percent: (n * 13) % 101, version: 'v1.2.3' };
    return `/api/workers/${id}/heartbeat/ ${agentToken(SECRET, id)} ${JSON.stringify(body)}`;
  });
  const fast = await scriptFile('fast', beats, 0);
  const steady = await scriptFile('steady', beats, STEADY_PAUSE);
  const shared = { REDIS_URL: redis.url };
  const targets = [
    await start('bare', BARE),
    await startServer('embedded', WORKERS),
    await startServer('redis', WORKERS, shared),
  ];
  await throughput(targets, fast);
  const [bare] = targets;
  // What the generator and the machine add by themselves.
  if (bare !== undefined) say(`bare: p99 ${(await load(bare, STEADY, STEADY_CONNECTIONS, steady)).p99.toFixed(1)} ms`);
  for (const target of targets) await stop(target);
  await fleet('embedded', {}, fast, steady);
  await redis.redis.flushall();
  await fleet('redis', shared, fast, steady);
} finally {
  for (const child of children) child.kill('SIGKILL');
  await redis.close();
  await rm(folder, { recursive: true, force: true });
}
