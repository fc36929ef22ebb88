import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openHost, type Host } from './hosts.ts';
import { openRig, type Outcome, type Rig } from './rig.ts';

let rig: Rig;
let w1: Host;
let w2: Host;
let root: string;
beforeAll(async () => {
  rig = await openRig(['busybox:1.37']);
  [w1, w2] = await Promise.all([openHost(rig, 'w1'), openHost(rig, 'w2')]);
  root = await projectFolder('fleet');
});
afterAll(() => rig.close());

/** As little as makes a project. */
async function projectFolder(name: string): Promise<string> {
  const folder = join(rig.folder, name);
  await mkdir(join(folder, 'docker'), { recursive: true });
  await writeFile(join(folder, 'VERSION'), 'v1.0.0\n');
  return folder;
}

function xingrin(...args: string[]): Promise<Outcome> {
  return rig.xingrin(['-C', root, ...args]);
}

function document({ stdout }: Outcome): {
  data: Record<string, unknown>;
  error?: Record<string, string>;
  exitCode: number;
} {
  return JSON.parse(stdout) as never;
}

const inventory = (): Promise<string> => readFile(join(root, '.xingrin', 'inventory.yaml'), 'utf8');
const authorized = (host: Host): Promise<string> => host.must(['cat', '/root/.ssh/authorized_keys']);

describe('worker add', () => {
  test('shows the host key and changes nothing before somebody agreed', async () => {
    const dry = await xingrin(
      '--dry-run',
      'worker',
      'add',
      w1.destination,
      '--identity',
      w1.identity,
      '--no-bootstrap',
    );
    expect(dry).toMatchObject({ exitCode: 0 });
    const fingerprint = (await w1.must(['ssh-keygen', '-lf', '/etc/ssh/host_key.pub'])).split(' ')[1] ?? '?';
    expect(dry.stdout).toContain(fingerprint);
    const refused = await xingrin('worker', 'add', w1.destination, '--identity', w1.identity, '--no-bootstrap');
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain('--yes');
    await expect(inventory()).rejects.toThrow('ENOENT');
    expect(await authorized(w1)).not.toContain('xingrin');
  });

  test('pins the host key, lets the project key in and writes the inventory, for its owner only', async () => {
    const flags = ['--name', '一号🚀', '--identity', w1.identity, '--no-bootstrap'];
    const added = await xingrin('--yes', '--json', 'worker', 'add', w1.destination, ...flags);
    expect(added).toMatchObject({ exitCode: 0 });
    expect(document(added).data['worker']).toMatchObject({
      id: 2,
      name: '一号🚀',
      host: w1.address,
      port: 22,
      user: 'root',
      identity: w1.identity,
      hostKey: w1.hostKey,
    });
    expect((await stat(join(root, '.xingrin', 'inventory.yaml'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(root, '.xingrin', 'keys', 'id_ed25519'))).mode & 0o777).toBe(0o600);
    const key = await readFile(join(root, '.xingrin', 'keys', 'id_ed25519.pub'), 'utf8');
    expect((await authorized(w1)).split('\n')).toContain(key.trim());
    const own = join(root, '.xingrin', 'keys', 'id_ed25519');
    const login = [
      'ssh',
      '-i',
      own,
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'StrictHostKeyChecking=no',
      w1.destination,
      'hostname',
    ];
    expect(await rig.must(login)).toBe('w1');
  });

  test('of a host that is there already changes nothing and says so', async () => {
    const [before, keys] = [await inventory(), await authorized(w1)];
    const again = await xingrin('worker', 'add', w1.destination, '--no-bootstrap');
    expect(again).toMatchObject({ exitCode: 0 });
    expect(again.stdout).toContain('already');
    expect([await inventory(), await authorized(w1)]).toEqual([before, keys]);
    // What is asked for beside is done, or refused; never passed over.
    const renamed = await xingrin('worker', 'add', w1.destination, '--name', 'other', '--no-bootstrap');
    expect(renamed).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/is worker 一号🚀 already, not "other"/),
    });
    for (const { identity } of [w2, w1]) {
      const add = ['worker', 'add', w1.destination, '--identity', identity, '--no-bootstrap'];
      expect(await xingrin('--yes', ...add)).toMatchObject({ exitCode: 0 });
      expect(await inventory()).toContain(`identity: ${identity}`);
    }
  });

  test('installs the key by a password, which is kept nowhere', async () => {
    const args = ['-C', root, '--yes', 'worker', 'add', w2.destination, '--name', 'second', '--no-bootstrap'];
    const wrong = await rig.xingrin([...args, '--password-stdin'], { input: 'wrong\n' });
    expect(wrong).toMatchObject({ exitCode: 4 });
    expect(wrong.stderr).toContain(w2.address);
    expect(await inventory()).not.toContain(w2.address);
    const right = await rig.xingrin([...args, '--password-stdin'], { input: `${w2.password}\n` });
    expect(right.stderr).toContain('✓');
    expect(right).toMatchObject({ exitCode: 0 });
    expect(await inventory()).not.toContain(w2.password);
    const shown = document(await xingrin('--json', 'worker', 'show', 'second'));
    expect(shown.data['worker']).toMatchObject({ id: 3, name: 'second', host: w2.address, hostKey: w2.hostKey });
    expect(document(await xingrin('--json', 'worker', 'list')).data['workers']).toHaveLength(2);
  });

  test('takes a name of ~/.ssh/config with all that it stands for, the way there included', async () => {
    const other = await projectFolder('by-name');
    const home = join(rig.folder, 'home-with-config');
    await mkdir(join(home, '.ssh'), { recursive: true });
    const outer = `Host outer\n  HostName ${w1.address}\n  IdentityFile ${w1.identity}\n`;
    const inner = `Host inner\n  HostName ${w2.address}\n  IdentityFile ${w2.identity}\n  ProxyJump outer\n`;
    await writeFile(join(home, '.ssh', 'config'), `${inner}${outer}Host *\n  User root\n`);
    const withConfig = { env: { HOME: home } };
    const added = await rig.xingrin(
      ['-C', other, '--yes', '--json', 'worker', 'add', 'inner', '--no-bootstrap'],
      withConfig,
    );
    expect(document(added)).toMatchObject({
      exitCode: 0,
      data: {
        worker: {
          name: 'inner',
          host: w2.address,
          user: 'root',
          hostKey: w2.hostKey,
          jumps: [{ host: w1.address, user: 'root', identity: w1.identity, hostKey: w1.hostKey }],
        },
      },
    });
    // Whoever comes next needs that file no more.
    const ran = await rig.xingrin(['-C', other, 'worker', 'exec', '--', 'hostname']);
    expect(ran).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('w2') });
    const bySsh = await rig.xingrin(['-C', other, '--transport', 'openssh', 'worker', 'exec', '--', 'hostname']);
    expect(bySsh).toMatchObject({ exitCode: 0, stdout: ran.stdout });
    const again = await rig.xingrin(['-C', other, 'worker', 'add', 'inner', '--no-bootstrap'], withConfig);
    expect(again).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('already') });
  });

  test('refuses a host that shows another key than the pinned one', async () => {
    await w2.changeHostKey();
    const again = await xingrin('--yes', '--json', 'worker', 'add', w2.destination, '--no-bootstrap');
    expect(document(again)).toMatchObject({ exitCode: 4, error: { code: 'HOST_KEY', host: 'second' } });
  });

  test('takes no name that could be mistaken for anything else', async () => {
    const add = ['--yes', 'worker', 'add', '--no-bootstrap'];
    expect(await xingrin(...add, '10.0.0.1', '--name=-oProxyCommand=id')).toMatchObject({ exitCode: 2 });
    expect(await xingrin(...add, '10.0.0.1', '--name=SECOND')).toMatchObject({ exitCode: 2 });
    expect(await xingrin(...add, '10.0.0.1', '--name=local')).toMatchObject({ exitCode: 2 });
    expect(await xingrin(...add, '--', '-oProxyCommand=id')).toMatchObject({ exitCode: 2 });
  });
});

describe('the workers of an inventory', () => {
  /** w1 is 一号🚀, w2 shows another host key than its pinned one since it was changed. */
  test('run a program side by side, each line with its host; what hosts said is in the document', async () => {
    const hostile = ['printf', '%s\\n', 'a"b', '$(reboot)', '中文'];
    const shown = await xingrin('worker', 'exec', '--hosts', '一号*', '--', ...hostile);
    expect(shown).toMatchObject({ exitCode: 0, stderr: '' });
    expect(shown.stdout.split('\n')).toEqual(['一号🚀 | a"b', '一号🚀 | $(reboot)', '一号🚀 | 中文']);
    const some = await xingrin('--json', 'worker', 'exec', '--', 'hostname');
    expect(document(some)).toMatchObject({
      exitCode: 3,
      error: { code: 'PARTIAL', message: expect.stringContaining('second') },
      data: {
        hosts: [
          { host: '一号🚀', exitCode: 0, stdout: 'w1\n', error: null },
          { host: 'second', exitCode: null, error: expect.stringContaining('host key') },
        ],
      },
    });
    const failed = await xingrin('--json', 'worker', 'exec', '--hosts', '!second', '--', 'sh', '-c', 'exit 9');
    expect(document(failed)).toMatchObject({ exitCode: 1, data: { hosts: [{ exitCode: 9 }] } });
    const slow = await xingrin(
      '--json',
      'worker',
      'exec',
      '--hosts',
      w1.address,
      '--timeout',
      '1',
      '--',
      'sleep',
      '60',
    );
    expect(document(slow)).toMatchObject({ exitCode: 4, error: { code: 'TIMEOUT' } });
    for (const flags of [
      ['--parallel', '0'],
      ['--timeout', 'x'],
      ['--hosts', 'nobody*'],
    ])
      expect(await xingrin('worker', 'exec', ...flags, '--', 'true')).toMatchObject({ exitCode: 2 });
  });

  test('are removed: agent, key and entry go; what is not ours stays, and so do the ids', async () => {
    const run = ['docker', 'run', '--detach', '--restart=always'];
    await w1.must([
      ...run,
      '--name',
      'xingrin-agent',
      '--label',
      'xingrin.project=docker',
      'busybox:1.37',
      'sh',
      '-c',
      'echo beating; sleep 600',
    ]);
    await w1.must([...run, '--name', 'theirs', 'busybox:1.37', 'sleep', '600']);
    expect((await xingrin('worker', 'logs', '--hosts', '一号*')).stdout).toBe('一号🚀 | beating');
    const key = (await readFile(join(root, '.xingrin', 'keys', 'id_ed25519.pub'), 'utf8')).trim();
    const removed = await xingrin('--yes', '--json', 'worker', 'remove', '一号🚀');
    expect(document(removed)).toMatchObject({ exitCode: 0, data: { removed: { id: 2, name: '一号🚀' } } });
    expect(await w1.must(['docker', 'ps', '--all', '--format', '{{.Names}}'])).toBe('theirs');
    expect(await authorized(w1)).not.toContain(key);
    expect((await authorized(w1)).trim()).not.toBe('');
    expect(document(await xingrin('--json', 'worker', 'list')).data['workers']).toMatchObject([{ name: 'second' }]);

    const refused = await xingrin('--yes', '--json', 'worker', 'remove', 'second');
    expect(document(refused)).toMatchObject({
      exitCode: 4,
      error: { code: 'HOST_KEY', hint: expect.stringContaining('--force') },
    });
    expect(await inventory()).toContain('second');
    expect(await xingrin('--yes', 'worker', 'remove', 'second', '--force')).toMatchObject({ exitCode: 0 });
    expect(await inventory()).not.toContain('second');
    const again = await xingrin(
      '--yes',
      '--json',
      'worker',
      'add',
      w1.destination,
      '--identity',
      w1.identity,
      '--no-bootstrap',
    );
    expect(document(again)).toMatchObject({ exitCode: 0, data: { worker: { id: 4 } } });
  });
});
