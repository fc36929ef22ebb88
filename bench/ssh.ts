// A command on a hundred SSH servers on this machine, from cold: xingrin against `xargs ssh`, pssh, clush and ansible, all with the same key,
// with verified host keys, and as many hosts at a time. Seconds, and the client's own processor time for each host. Then on warm connections.
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { unattendedRing } from '../src/apply/host-access.ts';
import { until } from '../src/effects/clock.ts';
import { onEach, openFleet } from '../src/effects/fleet.ts';
import { ensureProjectKey } from '../src/effects/project-key.ts';
import { readInventory } from '../src/observe/inventory.ts';
import { openProject } from '../src/observe/project.ts';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { ENTRY } from '../test/e2e/rig.ts';

const HOSTS = 100;
const PORT = 22_022;
const PARALLEL = 32;
const ROUNDS = 5;
const addresses = Array.from({ length: HOSTS }, (_, index) => `127.0.1.${index + 1}`);

interface Cost {
  readonly seconds: number;
  /** Milliseconds of processor time of the client and its children, for each host. */
  readonly cpu: number;
}

async function startServers(folder: string, publicKey: string): Promise<{ hostKey: string; end: () => void }> {
  const [hostKey, config, keys] = ['host_key', 'sshd_config', 'authorized_keys'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  await writeFile(keys, `${publicKey}\n`, { mode: 0o600 });
  const lines = [`Port ${PORT}`, `HostKey ${hostKey}`, `AuthorizedKeysFile ${keys}`, 'PidFile none', 'UsePAM no'];
  const rest = [
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'MaxStartups 1000',
    'LogLevel ERROR',
  ];
  await writeFile(config, [...lines, ...rest, ''].join('\n'));
  await mkdir('/run/sshd', { recursive: true });
  // An empty home for whoever logs in: what this machine's shell does at its start is no part of the comparison.
  const emptyHome = 'mount -t tmpfs tmpfs /root && exec "$@"';
  const daemons = addresses.map((address) => {
    const sshd = ['/usr/sbin/sshd', '-D', '-f', config, '-o', `ListenAddress=${address}`];
    return spawn('unshare', ['--mount', 'sh', '-c', emptyHome, 'sh', ...sshd], { stdio: 'ignore' });
  });
  const [kind, body] = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ');
  return { hostKey: `${kind} ${body}`, end: () => daemons.forEach((daemon) => daemon.kill()) };
}

/** What a program and its children cost; it must end well. */
async function cost(argv: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Cost> {
  const { stderr } = await execa('bash', ['-c', 'TIMEFORMAT="%R %U %S"; time "$@" >/dev/null', 'bash', ...argv], {
    env: { LC_ALL: 'C.UTF-8', HOME: folder, ...env },
    input,
  });
  const [seconds = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { seconds, cpu: ((user + system) * 1000) / HOSTS };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

await prepareMachine({ 'parallel-ssh': 'pssh', clush: 'clustershell', ansible: 'ansible-core' });
const folder = await mkdtemp(join(tmpdir(), 'xingrin-bench-ssh-'));
let end = (): void => {};
try {
  await mkdir(join(folder, 'docker'));
  await writeFile(join(folder, 'VERSION'), 'v1.0.0\n');
  const project = await openProject(folder);
  const servers = await startServers(folder, await ensureProjectKey(project.keys));
  ({ end } = servers);
  const { hostKey } = servers;
  const key = join(project.keys, 'id_ed25519');
  const workers = addresses.map((host, index) => ({
    id: index + 2,
    name: `w${index + 1}`,
    host,
    port: PORT,
    user: 'root',
    hostKey,
  }));
  await writeFile(join(folder, '.xingrin/inventory.yaml'), stringify({ lastId: HOSTS + 1, workers }), { mode: 0o600 });
  const known = join(folder, 'known_hosts');
  await writeFile(known, addresses.map((address) => `[${address}]:${PORT} ${hostKey}\n`).join(''));
  const list = join(folder, 'hosts');
  await writeFile(list, addresses.map((address) => `${address}\n`).join(''));
  const inventory = join(folder, 'ansible.ini');
  await writeFile(
    inventory,
    addresses.map((address) => `${address} ansible_port=${PORT} ansible_user=root\n`).join(''),
  );
  const options = [
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${known}`,
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    `IdentityFile=${key}`,
  ];
  const flags = options.flatMap((option) => ['-o', option]);
  const parallel = String(PARALLEL);
  const ways: Record<string, () => Promise<Cost>> = {
    xingrin: () =>
      cost([process.execPath, ENTRY, '-C', folder, 'worker', 'exec', '--parallel', parallel, '--', 'true']),
    'xargs ssh': () =>
      cost(['xargs', '-a', list, '-P', parallel, '-I{}', 'ssh', '-n', '-p', String(PORT), ...flags, 'root@{}', 'true']),
    pssh: () =>
      cost([
        'parallel-ssh',
        '-h',
        list,
        '-p',
        parallel,
        '-l',
        'root',
        ...options.flatMap((each) => ['-O', each]),
        '-O',
        `Port=${PORT}`,
        '-i',
        'true',
      ]),
    clush: () =>
      cost([
        'clush',
        '-f',
        parallel,
        '-l',
        'root',
        '-o',
        `-p ${PORT} ${flags.join(' ')}`,
        '-w',
        addresses.join(','),
        'true',
      ]),
    ansible: () =>
      cost(['ansible', 'all', '-i', inventory, '-f', parallel, '-m', 'raw', '-a', 'true'], {
        ANSIBLE_SSH_ARGS: `-C ${flags.join(' ')} -o ControlMaster=no`,
        ANSIBLE_LOCAL_TEMP: join(folder, 'ansible'),
      }),
  };
  await until('all servers', 30_000, async () => {
    const tried = await execa('ssh-keyscan', ['-p', String(PORT), '-t', 'ed25519', ...addresses], { reject: false });
    return tried.stdout.split('\n').filter((line) => !line.startsWith('#')).length >= HOSTS;
  });
  const there: string[] = [];
  for (const [name, way] of Object.entries(ways)) {
    const error = await way().then(
      () => null,
      (reason: unknown) => reason as Error,
    );
    if (error === null) there.push(name);
    else process.stdout.write(`${name}: left out: ${error.message.split('\n').slice(1, 3).join(' ').slice(0, 300)}\n`);
  }
  const costs = new Map<string, Cost[]>(there.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1)
    for (const name of there) costs.get(name)?.push(await (ways[name] as () => Promise<Cost>)());
  const of = (name: string, what: keyof Cost): number => median((costs.get(name) ?? []).map((each) => each[what]));
  for (const name of there) {
    const ratio =
      name === 'xingrin' ? '' : `, xingrin's ratio ${(of('xingrin', 'seconds') / of(name, 'seconds')).toFixed(2)}`;
    process.stdout.write(
      `cold, ${HOSTS} hosts, ${PARALLEL} at a time, ${name}: ${of(name, 'seconds').toFixed(2)} s, ${of(name, 'cpu').toFixed(1)} ms of client CPU a host${ratio}\n`,
    );
  }

  const fleet = openFleet(unattendedRing(project));
  const declared = (await readInventory(project)).workers;
  const everywhere = async (): Promise<void> => {
    for (const outcome of await onEach(declared, PARALLEL, async (worker) => {
      const { code } = await (await fleet.connect(worker)).exec(['true'], { timeout: 30_000 });
      if (code !== 0) throw new Error(`exit code ${code}`);
    }))
      if ('error' in outcome) throw outcome.error;
  };
  await everywhere();
  const warm: Cost[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [began, used] = [performance.now(), process.cpuUsage()];
    await everywhere();
    const { user, system } = process.cpuUsage(used);
    warm.push({ seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1000 / HOSTS });
  }
  await fleet.close();
  process.stdout.write(
    `warm, ${HOSTS} hosts, xingrin: ${median(warm.map(({ seconds }) => seconds)).toFixed(2)} s, ${median(warm.map(({ cpu }) => cpu)).toFixed(1)} ms of client CPU a host\n`,
  );
} finally {
  end();
  await rm(folder, { recursive: true, force: true });
}
