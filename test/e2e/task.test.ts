import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentToken } from '../../src/effects/agent-token.ts';
import { until } from '../until.ts';
import type { Engine } from '../../src/sandbox/engine.ts';
import { openHost, type Host } from './hosts.ts';
import { openRig, type Outcome, type Rig, type RunOptions } from './rig.ts';

const ENTRY = new URL('../../bin/xingrin.js', import.meta.url).pathname;
const IMAGE = 'busybox:1.37';

let rig: Rig;
let w1: Host;
let w2: Host;
let root: string;

beforeAll(async () => {
  rig = await openRig([IMAGE]);
  [w1, w2] = await Promise.all([openHost(rig, 'w1'), openHost(rig, 'w2')]);
  root = await project('fleet');
  for (const host of [w1, w2]) {
    const flags = ['--name', host.name, '--identity', host.identity, '--no-bootstrap'];
    const added = await xingrin(['--yes', 'worker', 'add', host.destination, ...flags]);
    expect(added).toMatchObject({ exitCode: 0 });
  }
  // Both idle, the second with a little of its memory in use: so which one is taken does not depend on this machine's other work.
  await pretend(w1, 1000);
  await pretend(w2, 990);
});
afterAll(() => rig?.close());

/** As little as makes a project that tasks can be run in. */
async function project(name: string): Promise<string> {
  const folder = join(rig.folder, name);
  await mkdir(join(folder, 'docker'), { recursive: true });
  await writeFile(join(folder, 'VERSION'), 'v1.0.0\n');
  await writeFile(join(folder, 'docker', '.env'), `TASK_EXECUTOR_IMAGE=${IMAGE}\n`);
  return folder;
}

/** Lets a host tell that nothing runs there, and that of 1000 kB of memory so many are free. */
async function pretend(host: Host, free: number): Promise<void> {
  const files = { stat: 'cpu  1 1 1 1 0 0 0 0 0 0\n', meminfo: `MemTotal: 1000 kB\nMemAvailable: ${free} kB\n` };
  for (const [name, input] of Object.entries(files)) {
    await host.must(['tee', `/run/${name}`], { input });
    await host.must(['mount', '--bind', `/run/${name}`, `/proc/${name}`]);
  }
}

function xingrin(args: readonly string[], options?: RunOptions): Promise<Outcome> {
  return rig.xingrin(['-C', root, ...args], options);
}

interface Document {
  readonly ok: boolean;
  readonly exitCode: number;
  readonly command: string;
  readonly data: Record<string, unknown>;
  readonly warnings: readonly string[];
  readonly error?: { code: string; message: string; hint?: string; evidence?: string };
}

async function json(args: readonly string[], options?: RunOptions): Promise<Document> {
  const { stdout, stderr } = await xingrin(['--json', ...args], options);
  try {
    return JSON.parse(stdout) as Document;
  } catch {
    throw new Error(`${args.join(' ')}: no document: ${stdout}\n${stderr}`);
  }
}

/** The built command, going on beside the test. */
function begin(args: readonly string[], env: Record<string, string> = {}) {
  return execa(process.execPath, [ENTRY, '-C', root, ...args], {
    reject: false,
    stripFinalNewline: false,
    extendEnv: false,
    env: { ...rig.env, ...env },
    stdin: 'ignore',
  });
}

/** The containers of a task on an engine, as `STATE`. */
async function containers(engine: Engine, id: string): Promise<string[]> {
  const format = ['--format', '{{.State}}', '--filter', `label=xingrin.task=${id}`];
  const { stdout } = await rig.docker(['ps', '--all', ...format], { env: rig.envFor(engine) });
  return stdout.split('\n').filter((line) => line !== '');
}

const engines = (): Engine[] => [rig.engine, w1.engine, w2.engine];

async function everywhere(id: string): Promise<string[]> {
  return (await Promise.all(engines().map((engine) => containers(engine, id)))).flat();
}

async function running(engine: Engine, id: string): Promise<void> {
  await until(`task ${id} to run`, async () => (await containers(engine, id))[0] === 'running');
}

const HARD = [
  'a"b',
  "it's",
  '$(reboot)',
  '`id`',
  'two\nlines',
  '--json',
  '-y',
  '--',
  '🚀 一',
  '\\',
  '',
  '*',
  '~',
  '%s',
];
const SHOW = ['sh', '-c', 'for word; do echo "<$word>"; done; echo told >&2; exit "$CODE"', 'sh'];
const shown = HARD.map((word) => `<${word}>`).join('\n');

describe.each([
  ['here', 'local'],
  ['over SSH', 'w1'],
])('a task %s', (_where, worker) => {
  test('is given its words unchanged, each stream to its own, and ends as the task does', async () => {
    const args = ['task', 'run', '--worker', worker, '--env', 'CODE=42', '--', ...SHOW, ...HARD];
    const ran = await xingrin(['-q', ...args]);
    expect(ran).toEqual({ exitCode: 42, stdout: shown, stderr: 'told' });
    const document = await json(args);
    expect(document).toMatchObject({ ok: false, exitCode: 42, command: 'task run' });
    expect(document.data).toMatchObject({
      worker: { name: worker },
      state: 'ended',
      image: IMAGE,
      args: [...SHOW, ...HARD],
      code: 42,
      stdout: `${shown}\n`,
      stderr: 'told\n',
      truncated: false,
    });
  });

  test('writes lines of any length, with an end or without', async () => {
    const script = String.raw`head -c 50000 /dev/zero | tr '\0' x; echo; printf '一 no end' >&2; head -c 16384 /dev/zero | tr '\0' y; echo; printf end`;
    const { stdout, stderr } = await begin(['-q', 'task', 'run', '--worker', worker, '--', 'sh', '-c', script]);
    // Compared by their hashes: nobody wants to read the difference.
    expect(hashOf(stdout)).toBe(hashOf(`${'x'.repeat(50_000)}\n${'y'.repeat(16_384)}\nend`));
    expect(stderr).toBe('一 no end');
  });

  test('has its variables, whose values no process list shows', async () => {
    const missing = await json(['task', 'run', '--worker', worker, '--env', 'NOT_HERE', '--', 'true']);
    expect(missing).toMatchObject({ exitCode: 2, error: { code: 'USAGE' } });
    const [secret, lines] = [`hush-${worker}-42`, `two-${worker}\n'$HOME' "🚀"`];
    const names = ['--env', 'TOKEN', '--env', 'LINES_OF', '--env', 'LEVEL=3'];
    const show = ['sh', '-c', 'printf "%s|" "$TOKEN" "$LINES_OF" "$LEVEL"; sleep 2'];
    const child = begin(['-v', 'task', 'run', '--worker', worker, ...names, '--', ...show], {
      TOKEN: secret,
      LINES_OF: lines,
    });
    const leaks: string[] = [];
    let over = false;
    const watching = (async () => {
      while (!over) leaks.push(...(await processesThatShow([secret, 'two-'])));
    })();
    const { stdout, stderr, exitCode } = await child;
    over = true;
    await watching;
    expect({ stdout, exitCode }).toEqual({ stdout: `${secret}|${lines}|3|`, exitCode: 0 });
    expect(stderr).not.toContain(secret);
    expect(leaks).toEqual([]);
    for (const name of await readdir(join(root, '.xingrin', 'tasks'))) {
      const path = join(root, '.xingrin', 'tasks', name);
      expect(await readFile(path, 'utf8')).not.toContain(secret);
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
  });
});

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The command lines, of any process of any host, that have one of these words. */
async function processesThatShow(words: readonly string[]): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => words.some((each) => line.includes(each)));
}

/** Goes on until it is told to end, and ends then. */
const IDLE = ['sh', '-c', 'trap "exit 143" TERM; echo begun; while :; do sleep 0.1; done'];

describe('placing', () => {
  test('takes the least loaded, counting what others send at the same time', async () => {
    const ids = ['place-1', 'place-2'];
    const placed = ids.map((id) => json(['task', 'run', '--id', id, '--detach', '--', ...IDLE]));
    const documents = await Promise.all(placed);
    for (const { exitCode, warnings } of documents)
      expect({ exitCode, warnings }).toEqual({ exitCode: 0, warnings: [] });
    const workers = documents.map(({ data }) => (data['worker'] as { name: string }).name);
    expect(workers.toSorted()).toEqual(['w1', 'w2']);
    for (const id of ids) expect(await everywhere(id)).toEqual(['running']);
    await Promise.all(ids.map((id) => xingrin(['task', 'stop', id])));
  });

  test('a dry run only says where', async () => {
    const dry = await xingrin(['--dry-run', 'task', 'run', '--id', 'dry', '--', 'true']);
    expect(dry).toMatchObject({ exitCode: 0 });
    expect(dry.stdout).toMatch(/would run busybox:1\.37 on (w1|w2|local)/);
    expect(dry.stderr).toContain('the control plane does not answer: asking every worker itself');
    expect(await everywhere('dry')).toEqual([]);
  });

  test('skips hosts that hang, are away or have no Docker, and says so; a named one is an error', async () => {
    await w1.freeze();
    try {
      await w2.engine.halt();
      const { exitCode, data, warnings } = await json(['task', 'run', '--', 'true']);
      expect(exitCode).toBe(0);
      expect(data['worker']).toEqual({ id: 1, name: 'local' });
      expect(warnings.join('\n')).toMatch(/w1 is skipped/);
      expect(warnings.join('\n')).toMatch(/w2 is skipped: Docker/);
      expect(await json(['task', 'run', '--worker', 'w1', '--', 'true'])).toMatchObject({
        exitCode: 4,
        error: { code: 'UNREACHABLE', host: 'w1' },
      });
      const noDocker = await json(['task', 'run', '--worker', 'w2', '--id', 'no-docker', '--', 'true']);
      expect(noDocker).toMatchObject({ exitCode: 125, error: { code: 'NOT_STARTED', host: 'w2' } });
      const list = await json(['task', 'list']);
      expect(list).toMatchObject({ exitCode: 3, data: { unreachable: [{ name: 'w1' }, { name: 'w2' }] } });
    } finally {
      await w1.thaw();
      await w2.engine.boot();
    }
    const chinese = await xingrin(['--lang', 'zh', 'task', 'list']);
    expect(chinese).toMatchObject({ exitCode: 0 });
    expect(chinese.stdout).toContain('启动失败');
    expect(await json(['task', 'run', '--worker', 'nobody', '--', 'true'])).toMatchObject({ exitCode: 2 });
  });

  test('what cannot start ends with 125 and the reason', async () => {
    const missing = { env: { TASK_EXECUTOR_IMAGE: undefined } };
    const odd = join(rig.folder, 'odd');
    await mkdir(join(odd, 'docker'), { recursive: true });
    await writeFile(join(odd, 'VERSION'), 'v1.0.0\n');
    await writeFile(join(odd, 'docker', '.env'), 'TASK_EXECUTOR_IMAGE=nobody/nothing:v9\n');
    const image = await rig.xingrin(['-C', odd, '--json', 'task', 'run', '--', 'true'], missing);
    expect(image.exitCode).toBe(125);
    expect(JSON.parse(image.stdout)).toMatchObject({ exitCode: 125, error: { code: 'NOT_STARTED', host: 'local' } });
    const command = await json(['task', 'run', '--worker', 'w1', '--id', 'no-command', '--', '/no/such/program']);
    expect(command).toMatchObject({ exitCode: 125, error: { code: 'NOT_STARTED', host: 'w1' } });
    expect(command.error?.evidence).toContain('/no/such/program');
  });

  test('an id has one task, also of two at the same moment', async () => {
    const twins = [1, 2].map(() => json(['task', 'run', '--id', 'twin', '--', 'true']));
    const codes = (await Promise.all(twins)).map(({ exitCode }) => exitCode).toSorted((a, b) => a - b);
    expect(codes).toEqual([0, 6]);
    expect(await everywhere('twin')).toEqual(['exited']);
    const again = await json(['task', 'run', '--id', 'twin', '--worker', 'local', '--', 'true']);
    expect(again).toMatchObject({ exitCode: 6, error: { code: 'EXISTS' } });
    for (const bad of ['../etc', '-x', 'a b', '$(reboot)', ''])
      expect(await json(['task', 'run', `--id=${bad}`, '--', 'true'])).toMatchObject({ exitCode: 2 });
  });

  test('a full disk is said before anything is started', async () => {
    const state = join(rig.folder, 'full', '.xingrin');
    const full = await project('full');
    await mkdir(state, { recursive: true });
    await rig.must(['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', state]);
    try {
      await rig.must(['dd', 'if=/dev/zero', `of=${state}/filler`, 'bs=4k', 'count=15', 'status=none']);
      await mkdir(join(state, 'tasks'));
      const args = [
        '-C',
        full,
        '--json',
        'task',
        'run',
        '--id',
        'full',
        '--',
        ...Array<string>(200).fill('x'.repeat(99)),
      ];
      const { stdout, exitCode } = await rig.xingrin(args);
      expect(exitCode).toBe(6);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'DISK' } });
      expect(await everywhere('full')).toEqual([]);
      expect((await readdir(join(state, 'tasks'))).filter((name) => name.endsWith('.json'))).toEqual([]);
    } finally {
      await rig.must(['umount', state]);
    }
  });
});

describe('over HTTP', () => {
  type Body = Record<'id' | 'worker', string> & { tasks: unknown[]; error: { field?: string } } & Record<
      string,
      unknown
    >;
  const [ADMIN, AGENTS] = ['admin-of-the-tasks', 'secret-of-the-agents'];
  let child: ReturnType<typeof begin>;
  let url: string;
  beforeAll(startServer);
  async function startServer(): Promise<void> {
    child = begin(['server'], { PORT: '0', ADMIN_TOKEN: ADMIN, AGENT_TOKEN: AGENTS });
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    await until('the server', () => /"serving","port":\d+/.test(log));
    url = `http://127.0.0.1:${/"serving","port":(\d+)/.exec(log)?.[1]}`;
  }
  afterAll(async () => {
    child?.kill('SIGTERM');
    await child;
  });

  async function call(path: string, body?: unknown, token = ADMIN): Promise<{ status: number; body: Body }> {
    const given = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const answer = await fetch(url + path, { ...given, headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, body: (await answer.json()) as Body };
  }
  const beat = (id: number, cpu: number): Promise<{ status: number }> =>
    call(`/api/workers/${id}/heartbeat/`, { cpu, mem: 10, version: 'v1.0.0' }, agentToken(AGENTS, id));
  async function ended(id: string): Promise<Record<string, unknown>> {
    let task: Record<string, unknown> = {};
    await until(`task ${id} to end`, async () => {
      ({ body: task } = await call(`/api/tasks/${id}/`));
      return task['exit_code'] !== null;
    });
    return task;
  }

  /** By worker: how busy it says it is. */
  const HEARD = [
    [1, 90],
    [2, 20],
    [3, 60],
  ] as const;

  test('a task goes to the least loaded as it was heard, and is the same for the command line', async () => {
    await call('/api/workers/register/', { name: 'local', is_local: true }, AGENTS);
    for (const [id, cpu] of HEARD) expect(await beat(id, cpu)).toMatchObject({ status: 200 });
    // Values with line breaks: in the environment of docker or its shell each of the others would lead it astray.
    const traps = { PATH: '/bin:\n', LD_PRELOAD: '\n', DOCKER_HOST: 'tcp://192.0.2.1:1\n', HOME: '/nowhere\n' };
    const request = { args: [...SHOW, ...HARD], env: { CODE: '42', ...traps } };
    const { status, body } = await call('/api/tasks/', request);
    expect({ status, body }).toMatchObject({ status: 200, body: { worker: 'w1', status: 'waiting', exit_code: null } });
    expect(await ended(body.id)).toMatchObject({
      id: body.id,
      worker: 'w1',
      status: 'ended',
      exit_code: 42,
      started_at: expect.stringMatching(/^20/),
    });
    expect(await xingrin(['task', 'logs', body.id])).toMatchObject({ stdout: shown, stderr: 'told' });
    const listed = await call('/api/tasks/');
    expect(listed.body.tasks).toContainEqual(expect.objectContaining({ id: body.id, exit_code: 42 }));
    // What was sent counts before the next heartbeat shows it. Whoever was heard long ago is offline by then.
    for (const [id, cpu] of HEARD) await beat(id, cpu);
    const next = Array.from({ length: 6 }, () => call('/api/tasks/', { args: ['sleep', '1'] }));
    const ids = (await Promise.all(next)).map((answer) => answer.body.worker as string);
    expect(new Set(ids)).toEqual(new Set(['w1', 'w2']));
  });

  test('a task for a named worker; what cannot start ends with 125', async () => {
    const { body } = await call('/api/tasks/', { args: ['/no/such/program'], worker: 'w2' });
    expect(await ended(body.id)).toMatchObject({ worker: 'w2', status: 'failed', exit_code: 125 });
  });

  test('a server that dies over it starts it when it is back, once; one whose variables died with it has failed', async () => {
    const { body } = await call('/api/tasks/', { args: ['echo', 'once'], worker: 'w1' });
    child.kill('SIGKILL');
    await child;
    const records = join(root, '.xingrin/tasks');
    const record = JSON.parse(await readFile(join(records, `${body.id}.json`), 'utf8')) as Record<string, unknown>;
    expect(record).toMatchObject({ served: { again: true }, end: null });
    const lost = { ...record, id: 'lost-over-http', started: null, served: { again: false } };
    await writeFile(join(records, 'lost-over-http.json'), JSON.stringify(lost));
    const removed = { ...record, id: 'for-nobody', started: null, worker: { id: 99, name: 'gone' } };
    await writeFile(join(records, 'for-nobody.json'), JSON.stringify(removed));
    await startServer();
    expect(await ended(body.id)).toMatchObject({ worker: 'w1', status: 'ended', exit_code: 0 });
    for (const id of ['lost-over-http', 'for-nobody'])
      expect(await ended(id)).toMatchObject({ status: 'failed', exit_code: 125 });
    expect(await xingrin(['task', 'logs', body.id])).toMatchObject({ stdout: 'once' });
    const named = await w1.must(['docker', 'ps', '--all', '--quiet', '--filter', `name=${body.id}`]);
    expect(named.split('\n')).toHaveLength(1);
  });

  test.each<[string, unknown, string, number, string | undefined]>([
    ['no words', {}, ADMIN, 400, 'args'],
    ['what nobody knows', { args: ['true'], image: 'x' }, ADMIN, 400, 'body'],
    ['a worker that is none', { args: ['true'], worker: 'nobody' }, ADMIN, 400, 'worker'],
    ['a variable that is none', { args: ['true'], env: { 'A B': '1' } }, ADMIN, 400, 'env'],
    ['a variable with a sign in its name', { args: ['true'], env: { 'A=B': '1' } }, ADMIN, 400, 'env'],
    ['a variable that objects lose', { args: ['true'], env: { ['__proto__']: '1' } }, ADMIN, 400, 'env'],
    ['a value that no process can have', { args: ['true'], env: { A: '\0' } }, ADMIN, 400, 'env'],
    ['a word that no process can have', { args: ['\0'] }, ADMIN, 400, 'args[0]'],
    ["an agent's token", { args: ['true'] }, AGENTS, 401, undefined],
  ])('%s', async (_what, request, token, status, field) => {
    const answer = await call('/api/tasks/', request, token);
    expect(answer).toMatchObject({ status, body: { error: { message: expect.any(String) } } });
    expect(answer.body.error.field).toBe(field);
  });

  test.each(['never-heard-of', '..%2f..%2fserver%2fstate', '__proto__'])('task %s: 404', async (id) => {
    expect(await call(`/api/tasks/${id}/`)).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } });
  });

  test('a worker that is away: 503, and nobody else is taken in its place', async () => {
    await w2.freeze();
    try {
      expect(await call('/api/tasks/', { args: ['true'], worker: 'w2' })).toMatchObject({
        status: 503,
        body: { error: { code: 'UNREACHABLE' } },
      });
    } finally {
      await w2.thaw();
    }
  });
});

/** Counts on both streams until the container has a file /enough. */
const COUNT = [
  'sh',
  '-c',
  'i=0; while [ ! -e /enough ]; do i=$((i+1)); echo "line $i"; echo "err $i" >&2; sleep 0.1; done; echo "$i in all"; exit 7',
];

async function enough(engine: Engine, id: string): Promise<void> {
  await rig.must(['docker', 'exec', `xingrin-task-${id}`, 'touch', '/enough'], { env: rig.envFor(engine) });
}

/** Nothing missing, nothing twice. */
function expectCounted(stdout: string, stderr: string): void {
  const count = Number(/(\d+) in all\n$/.exec(stdout)?.[1]);
  const counted = (word: string): string => Array.from({ length: count }, (_, at) => `${word} ${at + 1}\n`).join('');
  expect(stdout).toBe(`${counted('line')}${count} in all\n`);
  expect(stderr).toBe(counted('err'));
}

describe('a link that is cut', () => {
  test('right after the start, and restored: one container, its output complete', async () => {
    const child = begin(['task', 'run', '--worker', 'w1', '--id', 'cut-start', '--', ...COUNT]);
    await running(w1.engine, 'cut-start');
    await w1.cut();
    await until('the CLI to notice', () => toldLost(child));
    await w1.restore();
    await enough(w1.engine, 'cut-start');
    const { stdout, stderr, exitCode } = await child;
    expectCounted(
      stdout,
      `${stderr
        .split('\n')
        .filter((line) => line.startsWith('err'))
        .join('\n')}\n`,
    );
    expect(exitCode).toBe(7);
    expect(await everywhere('cut-start')).toEqual(['exited']);
  });

  test('during the output, twice: nothing missing, nothing twice', async () => {
    const child = begin(['--json', 'task', 'run', '--worker', 'w2', '--id', 'cut-output', '--', ...COUNT]);
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()));
    const reads = async (): Promise<boolean> => (await w2.sh(['pgrep', '-f', 'docker logs'])).exitCode === 0;
    for (const time of [1, 2]) {
      await until('somebody to listen', reads);
      await w2.cut();
      await until('the CLI to notice', () => told.split('lost w2').length > time);
      // Whoever listened before the cut is not to be taken for the next one.
      await w2.sh(['pkill', '-f', 'docker logs']);
      await w2.restore();
    }
    await until('somebody to listen', reads);
    await enough(w2.engine, 'cut-output');
    const { stdout, exitCode } = await child;
    expect(exitCode).toBe(7);
    const { data } = JSON.parse(stdout) as { data: { stdout: string; stderr: string } };
    expect(data).toMatchObject({ code: 7, truncated: false });
    expectCounted(data.stdout, data.stderr);
    expect(await everywhere('cut-output')).toEqual(['exited']);
  });

  test('while it is started: whatever was begun there is found again', async () => {
    const child = begin(['task', 'run', '--worker', 'w1', '--id', 'cut-request', '--', 'echo', 'once']);
    await until('docker run over there', async () => (await w1.sh(['pgrep', '-f', 'docker run'])).exitCode === 0);
    await w1.cut();
    await until('the CLI to notice', () => toldLost(child));
    await w1.restore();
    const { stdout, exitCode } = await child;
    expect({ stdout, exitCode }).toEqual({ stdout: 'once\n', exitCode: 0 });
    expect(await everywhere('cut-request')).toEqual(['exited']);
  });
});

/** Fulfilled when the command has said that a host is lost, or has ended. */
function toldLost(child: ReturnType<typeof begin>): boolean {
  const heard = listeners.get(child) ?? { text: '' };
  if (!listeners.has(child)) {
    listeners.set(child, heard);
    child.stderr.on('data', (chunk: Buffer) => (heard.text += chunk.toString()));
  }
  return heard.text.includes('lost w') || child.exitCode !== null;
}
const listeners = new WeakMap<object, { text: string }>();

describe('afterwards', () => {
  test('after kill -9 the task goes on; list, logs and stop know it', async () => {
    const child = begin(['task', 'run', '--worker', 'w1', '--id', 'orphan', '--', ...IDLE]);
    await running(w1.engine, 'orphan');
    child.kill('SIGKILL');
    await child;
    const { data } = await json(['task', 'list']);
    expect(data['tasks']).toContainEqual(
      expect.objectContaining({
        id: 'orphan',
        state: 'running',
        worker: { id: 2, name: 'w1' },
        code: null,
        image: IMAGE,
      }),
    );
    expect(await xingrin(['task', 'logs', 'orphan'])).toMatchObject({ exitCode: 0, stdout: 'begun' });
    const follower = begin(['task', 'logs', 'orphan', '-f']);
    expect(await json(['task', 'stop', 'orphan'])).toMatchObject({ exitCode: 0, data: { state: 'ended', code: 143 } });
    expect(await follower).toMatchObject({ exitCode: 0, stdout: 'begun\n' });
    const again = await xingrin(['task', 'stop', 'orphan']);
    expect(again).toMatchObject({ exitCode: 0 });
    expect(again.stdout).toContain('already');
    await w1.cut();
    try {
      const away = await json(['task', 'list']);
      expect(away.exitCode).toBe(3);
      expect(away.data['tasks']).toContainEqual(expect.objectContaining({ id: 'orphan', state: 'ended', code: 143 }));
    } finally {
      await w1.restore();
    }
    for (const command of ['logs', 'stop'])
      expect(await json(['task', command, 'never-heard-of'])).toMatchObject({ exitCode: 2, error: { code: 'USAGE' } });
  });

  test('Ctrl-C ends the task, whose last words are heard', async () => {
    const script = 'trap "echo bye; exit 3" TERM; echo hello; while :; do sleep 0.1; done';
    const child = begin(['--json', 'task', 'run', '--worker', 'w2', '--id', 'ctrl-c', '--', 'sh', '-c', script]);
    await says(w2, 'ctrl-c', 'hello');
    child.kill('SIGINT');
    const { stdout, exitCode } = await child;
    expect(exitCode).toBe(130);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'INTERRUPTED' },
      data: { state: 'ended', code: 3, stdout: 'hello\nbye\n' },
    });
    expect(await everywhere('ctrl-c')).toEqual(['exited']);
  });

  test('a second Ctrl-C leaves at once', async () => {
    const child = begin([
      'task',
      'run',
      '--worker',
      'w2',
      '--id',
      'impatient',
      '--',
      'sh',
      '-c',
      'trap "" TERM; echo on; sleep 600',
    ]);
    await says(w2, 'impatient', 'on');
    child.kill('SIGINT');
    await until('it to be stopped', async () => (await w2.sh(['pgrep', '-f', 'docker stop'])).exitCode === 0);
    child.kill('SIGINT');
    expect(await child).toMatchObject({ exitCode: 130 });
    expect(await json(['task', 'stop', 'impatient'])).toMatchObject({ exitCode: 0, data: { code: 137 } });
  });
});

/** Waits until a task has written this. */
async function says(host: Host, id: string, words: string): Promise<void> {
  await running(host.engine, id);
  const env = rig.envFor(host.engine);
  await until(`${id} to say ${words}`, async () =>
    (await rig.docker(['logs', `xingrin-task-${id}`], { env })).stdout.includes(words),
  );
}
