import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.ts';
import { openHost, type Host } from './hosts.ts';
import { journalIsClosed, killedAtWrite } from './kill.ts';
import { makeProduct, type Document, type Product, type Server } from './product.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let product: Product;
let server: Server;
let w1: Host;

beforeAll(async () => {
  rig = await openRig();
  [product, w1] = await Promise.all([makeProduct(rig), openHost(rig, 'w1')]);
  server = await product.checkout('main');
  await server.ok(['--yes', 'install', '--version', 'v1.0.0']);
});
afterAll(() => rig?.close());

const NAME = '一号🚀';
const add = (...more: string[]): string[] => [
  '--yes',
  'worker',
  'add',
  w1.destination,
  '--identity',
  w1.identity,
  '--name',
  NAME,
  ...more,
];

/** The worker as it was before anybody came: no container, no key, no entry. */
async function expectUntouched(): Promise<void> {
  expect(await w1.must(['docker', 'ps', '--all', '--quiet'])).toBe('');
  expect((await w1.must(['cat', '/root/.ssh/authorized_keys'])).split('\n')).toHaveLength(1);
  expect((await server.ok(['worker', 'list'])).data['workers']).toEqual([]);
}

function expectTold(document: Document, error: { code: string; hint: RegExp }, exitCode = 6): void {
  expect(document).toMatchObject({ ok: false, exitCode, error: { code: error.code, host: NAME } });
  expect(document.error?.message).toContain(NAME);
  expect(document.error?.hint).toMatch(error.hint);
}

/** A folder over there with all programs but these. */
async function programsWithout(...names: readonly string[]): Promise<string> {
  const script =
    'mkdir -m 755 /home/bin; for d in /usr/bin /bin /usr/sbin /sbin; do for f in "$d"/*; do ln -s "$f" /home/bin/ 2>/dev/null; done; done; ' +
    'cd /home/bin; rm -f "$@"';
  await w1.must(['sh', '-c', script, 'sh', ...names]);
  return '/home/bin';
}

async function loginsWith(path: string | null): Promise<void> {
  await w1.closePort();
  const config = (await w1.must(['cat', '/etc/ssh/sshd_config'])).replaceAll(/^SetEnv .*\n?/gm, '');
  const line = path === null ? '' : `SetEnv PATH=${path}\n`;
  await w1.must(['tee', '/etc/ssh/sshd_config'], { input: `${config.trimEnd()}\n${line}` });
  await w1.openPort();
}

test('Docker does not run there, or is missing: said before anything is changed, with what mends it', async () => {
  await w1.engine.halt();
  expectTold(await server.json(add()), { code: 'ENGINE_MISSING', hint: /systemctl start docker/ });
  await w1.engine.boot();
  await expectUntouched();

  await loginsWith(await programsWithout('docker', 'apt-get', 'dnf'));
  try {
    expectTold(await server.json(add()), { code: 'ENGINE_MISSING', hint: /--install-docker/ });
    // There is nothing that it could be installed with.
    expectTold(await server.json(add('--install-docker')), { code: 'PRECONDITION', hint: /by hand/ });
    await w1.addUser('ops');
    const asOps = add('--install-docker').map((word) => (word === w1.destination ? `ops@${w1.address}` : word));
    const refused = await server.json(asOps);
    expectTold(refused, { code: 'PRECONDITION', hint: /NOPASSWD/ });
    expect(refused.error?.message).toContain('password');
  } finally {
    await loginsWith(null);
  }
  await expectUntouched();
});

test('another system, another architecture, a wrong clock, no room: said before anything is changed', async () => {
  const bin = await programsWithout('uname', 'date', 'df', 'docker');
  const stub = async (name: string, lines: string): Promise<void> => {
    await w1.must(['tee', `${bin}/${name}`], { input: `#!/bin/sh\n${lines}\n` });
    await w1.must(['chmod', '755', `${bin}/${name}`]);
  };
  const real = (name: string): Promise<void> => stub(name, `exec /usr/bin/${name} "$@"`);
  for (const name of ['uname', 'date', 'df', 'docker']) await real(name);
  await loginsWith(bin);
  try {
    await stub('uname', 'echo SunOS sun4v');
    expect((await server.json(add())).error).toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringContaining('SunOS'),
    });
    await stub('uname', 'echo Linux aarch64');
    const foreign = await server.json(add());
    expectTold(foreign, { code: 'PRECONDITION', hint: /add linux\/arm64 to the platforms/ });
    expect(foreign.error?.message).toContain('linux/amd64 only');
    await real('uname');
    await stub('date', `exec /usr/bin/date -d '+1 day' "$@"`);
    expectTold(await server.json(add()), { code: 'PRECONDITION', hint: /./ });
    await real('date');
    // Also where there is no engine yet, which needs more.
    const little = 'echo Filesystem blocks used free; echo none 1000000 700000 300000 30% /';
    await stub('df', little);
    await w1.must(['rm', `${bin}/docker`]);
    expectTold(await server.json(add('--install-docker')), { code: 'DISK', hint: /./ });
  } finally {
    await loginsWith(null);
  }
  await expectUntouched();
});

test('a user who may not use Docker is told whose group to join, or let in where its sudo asks for nothing; then all is well', async () => {
  const asOps = add().map((word) => (word === w1.destination ? `ops@${w1.address}` : word));
  const socket = await w1.must(['stat', '-c', '%a', '/var/run/docker.sock']);
  expect(socket).toBe('660');
  expectTold(await server.json(asOps), { code: 'ENGINE_MISSING', hint: /usermod -aG docker/ });
  await expectUntouched();
  const group = await w1.must(['stat', '-c', '%g', '/var/run/docker.sock']);
  if (group === '0') await w1.must(['sh', '-c', 'groupadd -f docker; chgrp docker /var/run/docker.sock']);
  await w1.must(['tee', '/etc/sudoers.d/ops'], { input: 'ops ALL=(ALL) NOPASSWD: ALL\n' });
  await server.ok(asOps);
  expect(await w1.must(['id', '-nG', 'ops'])).toContain('docker');
  expect(await w1.must(['docker', 'inspect', '--format', '{{.State.Health.Status}}', 'xingrin-agent'])).toBe('healthy');
  const environment = await w1.must(['docker', 'inspect', '--format', '{{json .Config.Env}}', 'xingrin-agent']);
  expect(JSON.parse(environment)).toContain(`WORKER_NAME=${NAME}`);
  expect((await server.run(['worker', 'list'])).stdout).toMatch(new RegExp(`${NAME} .*online +v1\\.0\\.0`));
  await server.ok(['--yes', 'worker', 'remove', NAME]);
  await until('the worker to be gone', async () => !(await server.run(['status'])).stdout.includes(NAME));
});

test('the cable is pulled out in the middle of a pull: named, and the same command again makes it whole', async () => {
  await w1.must(['docker', 'image', 'prune', '--all', '--force']);
  const link = `m${w1.address.split('.').at(-1)}`;
  const shape = (...argv: string[]): Promise<string> =>
    rig.must(rig.sandbox.network.namespace.enter(['tc', 'qdisc', ...argv]));
  await shape('add', 'dev', link, 'root', 'tbf', 'rate', '2mbit', 'burst', '32kb', 'latency', '400ms');
  const adding = server.json(add());
  await until('the pull', async () => (await w1.sh(['pgrep', '-f', '^docker pull'])).exitCode === 0);
  await w1.cut();
  const cut = await adding;
  expect(cut).toMatchObject({ exitCode: 4, error: { code: 'UNREACHABLE' } });
  expect(JSON.stringify(cut.error)).toContain(NAME);
  await w1.restore();
  await shape('del', 'dev', link, 'root');
  await until('the worker to be added', async () => (await server.json(add())).ok);
  expect(await w1.must(['docker', 'inspect', '--format', '{{.State.Health.Status}}', 'xingrin-agent'])).toBe('healthy');
});

test('an add that is killed with -9 can be repeated, and what it left removed', async () => {
  await server.ok(['--yes', 'worker', 'remove', NAME]);
  let kills = 0;
  for (let when = 4; (await killedAtWrite(rig, server, add(), when)) !== null; when += 4, kills += 1) {
    await server.ok(['recover']);
    const { data } = await server.ok(['worker', 'list']);
    expect(await journalIsClosed(server)).toBe(true);
    if (kills % 2 === 0) {
      await server.ok(add());
      await server.ok(['--yes', 'worker', 'remove', NAME]);
    } else if ((data['workers'] as unknown[]).length > 0) await server.ok(['--yes', 'worker', 'remove', NAME]);
    await expectUntouched();
  }
  expect(kills).toBeGreaterThan(2);
});

test('a full disk there: that worker is named with the mend, keeps its agent, and follows when there is room', async () => {
  await server.ok(['--yes', 'worker', 'remove', NAME]);
  const data = await w1.must(['docker', 'info', '--format', '{{.DockerRootDir}}']);
  await w1.engine.halt();
  await w1.must(['mount', '-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', data]);
  await w1.engine.boot();
  // Not enough for a worker at all.
  expectTold(await server.json(add()), { code: 'DISK', hint: /./ });
  await w1.must(['mount', '-o', 'remount,size=600m', data]);
  await server.ok(add());
  await w1.must(['sh', '-c', 'dd if=/dev/zero of="$1/filler" bs=64k status=none || :', 'sh', data]);
  const full = await server.json(['update', '--yes']);
  expect(full).toMatchObject({ exitCode: 3, error: { code: 'PARTIAL' } });
  expect(JSON.stringify(full)).toContain('its disk is full');
  const image = (): Promise<string> =>
    w1.must(['docker', 'inspect', '--format', '{{.Config.Image}} {{.State.Status}}', 'xingrin-agent']);
  expect(await image()).toBe(`${product.reference('agent', 'v1.0.0')} running`);
  await w1.must(['rm', `${data}/filler`]);
  await server.ok(['--yes', 'worker', 'update']);
  expect(await image()).toBe(`${product.reference('agent', 'v1.1.0')} running`);
});

test('names that could be mistaken for anything else are refused before anything is sent', async () => {
  const heard = (): Promise<string> => readFile(w1.log, 'utf8');
  const before = await heard();
  for (const name of ['a"b', '$(reboot)', '../etc', '-oProxyCommand=id', 'a\nb', '']) {
    const words = ['--yes', 'worker', 'add', w1.destination, '--identity', w1.identity, `--name=${name}`];
    expect(await server.json(words)).toMatchObject({ exitCode: 2 });
  }
  for (const host of ['-oProxyCommand=id', '$(reboot)', 'a b', '../etc'])
    expect(await server.json(['--yes', 'worker', 'add', '--', host])).toMatchObject({ exitCode: 2 });
  expect(await heard()).toBe(before);
});

test('without the server the workers are asked over SSH, and that is said', async () => {
  await rig.must(['docker', 'stop', (await server.services())['server']?.id ?? '']);
  for (const command of [['status'], ['worker', 'list']]) {
    const { data, warnings } = await server.json(command);
    expect(warnings).toContain('the control plane does not answer: the workers were asked over SSH');
    expect(data['workers']).toMatchObject([{ name: NAME, version: 'v1.1.0' }]);
  }
});
