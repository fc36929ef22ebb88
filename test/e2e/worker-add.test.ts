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
