import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHost, type Host } from './hosts.ts';
import {
  aptRepository,
  becomeDnfHost,
  dnfRepository,
  dnfTree,
  dockerPackage,
  filesOf,
  makeSigner,
  serveOwn,
  withoutDocker,
  type OwnServer,
  type Signer,
} from './packages.ts';
import { makeProduct, type Document, type Product, type Server } from './product.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let product: Product;
let server: Server;
let packages: string;
let own: OwnServer;

beforeAll(async () => {
  rig = await openRig();
  product = await makeProduct(rig);
  server = await product.checkout('main');
  await server.ok(['--yes', 'install', '--version', 'v1.0.0']);
  packages = await dockerPackage(rig);
  own = await serveOwn(rig);
});
const signers: Signer[] = [];
async function signerOf(name: string): Promise<Signer> {
  const signer = await makeSigner(rig, name);
  signers.push(signer);
  return signer;
}
afterAll(async () => {
  for (const signer of signers) await signer.close();
  await own?.close();
  await rig?.close();
});

function add({ name, destination, identity }: Host, user = 'root'): string[] {
  const where = destination.replace('root', user);
  return ['--yes', 'worker', 'add', where, '--identity', identity, '--name', name];
}

function expectTold(document: Document, { name }: Host, code: string, hint: RegExp): void {
  expect(document).toMatchObject({ ok: false, exitCode: 6, error: { code, host: name } });
  expect(document.error?.hint).toMatch(hint);
}

/** An engine that answers, an agent that is well, a task that runs. */
async function expectWorks(host: Host, mirrors: readonly string[]): Promise<void> {
  const told = await host.must(['docker', 'info', '--format', '{{json .RegistryConfig.Mirrors}}']);
  expect((JSON.parse(told) as string[]).map((url) => url.replace(/\/$/, ''))).toEqual(mirrors);
  expect(await host.must(['docker', 'inspect', '--format', '{{.State.Health.Status}}', 'xingrin-agent'])).toBe(
    'healthy',
  );
  const ran = await server.run(['task', 'run', '--worker', host.name, '--', 'echo', 'done']);
  expect(ran).toMatchObject({ exitCode: 0, stdout: 'done' });
}

test('by one whose sudo asks for nothing; one whose sudo asks is told', async () => {
  const host = await openHost(rig, 'w1');
  const { mirrors } = await withoutDocker(host, packages);
  expect(mirrors).not.toEqual([]);
  await host.addUser('deploy');
  const rule = (tags: string): Promise<string> =>
    host.must(['tee', '/etc/sudoers.d/deploy'], { input: `deploy ALL=(ALL) ${tags}ALL\n` });
  expectTold(await server.json(add(host, 'deploy')), host, 'ENGINE_MISSING', /--install-docker/);
  await rule('');
  expectTold(await server.json([...add(host, 'deploy'), '--install-docker']), host, 'PRECONDITION', /NOPASSWD/);
  expect((await host.sh(['which', 'dockerd'])).exitCode).toBe(1);
  await rule('NOPASSWD: ');
  await server.ok([...add(host, 'deploy'), '--install-docker']);
  expect(await host.must(['id', '-nG', 'deploy'])).toContain('docker');
  await expectWorks(host, mirrors);
  await server.ok(['--yes', 'worker', 'remove', host.name]);
  expect(await host.must(['docker', 'ps', '--all', '--format', '{{.Names}}'])).toMatch(/^xingrin-task-\S+$/);
});

test("from Docker's own repository where Debian has no Docker: only what is signed and believed, and nothing is left of one that did not serve", async () => {
  const host = await openHost(rig, 'w2');
  const { mirrors } = await withoutDocker(host, packages);
  await host.must(['tee', '/etc/apt/preferences.d/no-docker'], {
    input: 'Package: docker.io docker-cli\nPin: release *\nPin-Priority: -1\n',
  });
  const sources = (): Promise<string> => host.must(['sh', '-c', 'ls /etc/apt/sources.list.d /etc/apt/keyrings']);
  const before = await sources();
  const install = [...add(host), '--install-docker'];

  const away = await server.json(install);
  expectTold(away, host, 'PRECONDITION', /by hand/);
  expect(away.error?.message).toContain("Docker's own repository does not answer");

  const root = '/linux/debian';
  const signer = await signerOf('signer');
  const files = await aptRepository(rig, signer, root);
  for (const [path, bytes] of files) own.files.set(path, bytes);
  own.files.set(`${root}/gpg`, (await signerOf('stranger')).publicKey);
  await own.introduce(host);
  const unsigned = await server.json(install);
  expectTold(unsigned, host, 'PRECONDITION', /by hand/);
  expect(unsigned.error?.evidence).toContain('docker-ce');
  expect(own.asked.filter((path) => path.endsWith('/InRelease'))).toHaveLength(1);
  expect(own.asked.filter((path) => path.endsWith('.deb'))).toEqual([]);
  expect(await sources()).toBe(before);

  own.files.set(`${root}/gpg`, signer.publicKey);
  await server.ok(install);
  expect(await sources()).toContain('docker.list');
  await expectWorks(host, mirrors);
});

test('by dnf: what Fedora has', async () => {
  const host = await openHost(rig, 'w3');
  const { mirrors } = await withoutDocker(host, packages, await dnfTree());
  await becomeDnfHost(host, 'ID=fedora\n');
  const signer = await signerOf('fedora');
  const repository = await dnfRepository(rig, host, signer, ['moby-engine']);
  await host.must(['tee', '/etc/pki-fedora'], { input: signer.publicKey });
  await host.must(['tee', '/etc/yum.repos.d/fedora.repo'], {
    input: `[fedora]\nname=fedora\nbaseurl=file://${repository}\ngpgkey=file:///etc/pki-fedora\n`,
  });
  await server.ok([...add(host), '--install-docker']);
  expect(await host.must(['rpm', '-q', 'moby-engine'])).toContain('moby-engine-27');
  await expectWorks(host, mirrors);
});

test("by dnf: from Docker's own repository where the distribution has none", async () => {
  const host = await openHost(rig, 'w4');
  const { mirrors } = await withoutDocker(host, packages, await dnfTree());
  await becomeDnfHost(host, 'ID="rocky"\nID_LIKE="rhel centos fedora"\n');
  const signer = await signerOf('docker');
  const repository = await dnfRepository(rig, host, signer, ['docker-ce', 'docker-ce-cli', 'containerd.io']);
  const root = '/linux/centos';
  const address = `https://download.docker.com${root}`;
  for (const [path, bytes] of await filesOf(repository, `${root}/9`)) own.files.set(path, bytes);
  own.files.set(
    `${root}/docker-ce.repo`,
    `[docker-ce-stable]\nname=Docker\nbaseurl=${address}/9\nenabled=1\ngpgcheck=1\ngpgkey=${address}/gpg\n`,
  );
  const install = [...add(host), '--install-docker'];
  await own.introduce(host);
  own.files.set(`${root}/gpg`, await readFile('/etc/hostname', 'utf8'));
  expectTold(await server.json(install), host, 'PRECONDITION', /by hand/);
  expect(await host.must(['ls', '/etc/yum.repos.d'])).toBe('');
  own.files.set(`${root}/gpg`, signer.publicKey);
  await server.ok(install);
  expect(await host.must(['rpm', '-q', 'docker-ce'])).toContain('docker-ce-27');
  await expectWorks(host, mirrors);
});
