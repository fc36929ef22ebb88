import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
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

  await loginsWith(await programsWithout('docker', 'apt-get', 'dnf', 'zypper', 'apk'));
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

/** Lets a host be one on which Docker was never installed, with the package for it at hand: there is no way out of the network. */
async function withoutDocker(): Promise<string[]> {
  const packages = join(rig.folder, 'packages');
  await mkdir(join(packages, 'partial'), { recursive: true });
  await rig.must(['apt-get', 'download', 'docker.io'], { cwd: packages });
  await w1.engine.halt();
  for (const folder of ['/usr', '/var/lib/dpkg', '/var/lib/apt', '/var/cache/apt', '/var/log']) {
    const layer = `/run/layers${folder}`;
    await w1.must(['mkdir', '-p', `${layer}/upper`, `${layer}/work`]);
    const layers = `lowerdir=${folder},upperdir=${layer}/upper,workdir=${layer}/work`;
    await w1.must(['mount', '-t', 'overlay', 'overlay', '-o', layers, folder]);
  }
  await w1.must(['mount', '--bind', packages, '/var/cache/apt/archives']);
  // What its engine needs to live in here, the mirror left out, goes where it is no engine's own settings.
  const settings = JSON.parse(await w1.must(['cat', '/etc/docker/daemon.json'])) as Record<string, string | string[]>;
  const mirrors = settings['registry-mirrors'];
  const flagOf: Record<string, string> = { 'exec-opts': 'exec-opt', 'insecure-registries': 'insecure-registry' };
  const flags = Object.entries(settings)
    .filter(([key]) => key !== 'registry-mirrors')
    .flatMap(([key, value]) => [value].flat().map((each) => `--${flagOf[key] ?? key}=${each}`));
  await w1.must(['tee', '/etc/default/docker'], { input: `DOCKER_OPTS="${flags.join(' ')}"\n` });
  await w1.must(['rm', '-r', '/etc/docker']);
  await w1.must(['dpkg', '--remove', '--force-depends', 'docker.io']);
  // What these namespaces may not do, or would do to the whole machine.
  await w1.must(['sed', '-i', 's/ulimit -/: &/; s/^\\t\\tcgroupfs_mount$/:/', '/etc/init.d/docker']);
  expect(await w1.must(['grep', '-c', '^:$', '/etc/init.d/docker'])).toBe('1');
  // Some machines have another client beside the package's.
  await w1.must(['sh', '-c', 'rm -f /usr/local/bin/docker*']);
  return [mirrors ?? []].flat();
}

test('Docker is installed by one whose sudo asks for nothing, and all is well; one whose sudo asks is told', async () => {
  await server.run(['--yes', 'worker', 'remove', NAME]);
  const mirrors = await withoutDocker();
  expect(mirrors).not.toEqual([]);
  await w1.addUser('deploy');
  const asDeploy = (...more: string[]): string[] =>
    add(...more).map((word) => (word === w1.destination ? `deploy@${w1.address}` : word));
  expectTold(await server.json(asDeploy()), { code: 'ENGINE_MISSING', hint: /--install-docker/ });
  const rule = (tags: string): Promise<string> =>
    w1.must(['tee', '/etc/sudoers.d/deploy'], { input: `deploy ALL=(ALL) ${tags}ALL\n` });
  await rule('');
  const asks = await server.json(asDeploy('--install-docker'));
  expectTold(asks, { code: 'PRECONDITION', hint: /NOPASSWD/ });
  expect((await w1.sh(['which', 'dockerd'])).exitCode).toBe(1);
  await rule('NOPASSWD: ');
  await server.ok(asDeploy('--install-docker'));
  expect(await w1.must(['id', '-nG', 'deploy'])).toContain('docker');
  const used = JSON.parse(
    await w1.must(['docker', 'info', '--format', '{{json .RegistryConfig.Mirrors}}']),
  ) as string[];
  expect(used.map((url) => url.replace(/\/$/, ''))).toEqual(mirrors);
  expect(await w1.must(['docker', 'inspect', '--format', '{{.State.Health.Status}}', 'xingrin-agent'])).toBe('healthy');
  const ran = await server.run(['task', 'run', '--worker', NAME, '--', 'echo', 'by a user']);
  expect(ran).toMatchObject({ exitCode: 0, stdout: 'by a user' });
  await server.ok(['--yes', 'worker', 'remove', NAME]);
  expect(await w1.must(['docker', 'ps', '--all', '--format', '{{.Names}}'])).toMatch(/^xingrin-task-\S+$/);
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
