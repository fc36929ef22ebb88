import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { execa } from 'execa';
import { makeCertificate } from '../../src/effects/certificate-maker.ts';
import { unpackDebian } from '../../src/sandbox/debian.ts';
import type { Host } from './hosts.ts';
import type { Rig } from './rig.ts';

/** Where Docker's own packages are, as a host sees it. */
const OWN = 'download.docker.com';
const MAIL = 'packages@example.org';

/** Of a host on which Docker was never installed. */
export interface BareHost {
  /** The mirrors that its engine had. */
  readonly mirrors: readonly string[];
}

/**
 * Lets a host be one on which Docker was never installed, and where nothing that is installed stays behind. There is no way out of its
 * network.
 *
 * @param packages a folder with package archives that apt has at hand
 * @param tree what its /usr has besides
 */
export async function withoutDocker(host: Host, packages: string, tree?: string): Promise<BareHost> {
  await host.engine.halt();
  for (const folder of ['/usr', '/var/lib/dpkg', '/var/lib/apt', '/var/cache/apt', '/var/log']) {
    const layer = `/run/layers${folder}`;
    await host.must(['mkdir', '-p', `${layer}/upper`, `${layer}/work`]);
    const lower = tree !== undefined && folder === '/usr' ? `${tree}/usr:/usr` : folder;
    const layers = `lowerdir=${lower},upperdir=${layer}/upper,workdir=${layer}/work`;
    await host.must(['mount', '-t', 'overlay', 'overlay', '-o', layers, folder]);
  }
  await host.must(['mount', '--bind', packages, '/var/cache/apt/archives']);
  // What its engine needs to live in here, the mirror left out, goes where it is no engine's own settings.
  const settings = JSON.parse(await host.must(['cat', '/etc/docker/daemon.json'])) as Record<string, string | string[]>;
  const mirrors = settings['registry-mirrors'];
  const flagOf: Record<string, string> = { 'exec-opts': 'exec-opt', 'insecure-registries': 'insecure-registry' };
  const flags = Object.entries(settings)
    .filter(([key]) => key !== 'registry-mirrors')
    .flatMap(([key, value]) => [value].flat().map((each) => `--${flagOf[key] ?? key}=${each}`));
  await host.must(['tee', '/etc/default/docker'], { input: `DOCKER_OPTS="${flags.join(' ')}"\n` });
  await host.must(['rm', '-r', '/etc/docker']);
  await host.must(['dpkg', '--remove', '--force-depends', 'docker.io']);
  // What these namespaces may not do, or would do to the whole machine.
  await host.must(['sed', '-i', 's/ulimit -/: &/; s/^\\t\\tcgroupfs_mount$/:/', '/etc/init.d/docker']);
  if ((await host.must(['grep', '-c', '^:$', '/etc/init.d/docker'])) !== '1') throw new Error('another init script');
  // The package takes this away when it goes; there it is whoever brings the engine.
  await host.must(['chmod', '755', '/etc/init.d/docker']);
  // Refused at once: what cannot be reached is not to be waited for.
  await host.must(['tee', '/etc/apt/apt.conf.d/offline'], {
    input: 'Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "DIRECT";\n',
  });
  // Some machines have another client beside the package's.
  await host.must(['sh', '-c', 'rm -f /usr/local/bin/docker*']);
  return { mirrors: [mirrors ?? []].flat() };
}

/** Downloads the distribution's package of Docker into a folder that apt takes for its store; the path. */
export async function dockerPackage(rig: Rig): Promise<string> {
  const folder = join(rig.folder, 'packages');
  await mkdir(join(folder, 'partial'), { recursive: true });
  await rig.must(['apt-get', 'download', 'docker.io'], { cwd: folder });
  return folder;
}

/** An engine as files, for packages of other kinds: what docker.io has below /usr. */
async function engineTree(rig: Rig): Promise<string> {
  const tree = join(rig.folder, 'engine');
  await rig.must(['sh', '-c', 'dpkg-deb --extract packages/docker.io_*.deb engine && rm -r engine/etc engine/lib'], {
    cwd: rig.folder,
  });
  return tree;
}

/** A key that signs packages, in a folder of its own. */
export interface Signer {
  /** Ends the program that holds it. */
  close(): Promise<void>;
  readonly env: Readonly<Record<string, string>>;
  /** ASCII-armoured. */
  readonly publicKey: string;
}

export async function makeSigner(rig: Rig, name: string): Promise<Signer> {
  const env = { GNUPGHOME: join(rig.folder, name) };
  await mkdir(env.GNUPGHOME, { mode: 0o700 });
  const quiet = ['gpg', '--batch', '--quiet', '--passphrase', ''];
  await rig.must([...quiet, '--quick-generate-key', MAIL, 'rsa3072', 'sign', 'never'], { env });
  return {
    env,
    publicKey: `${await rig.must(['gpg', '--armor', '--export', MAIL], { env })}\n`,
    close: async () => void (await rig.must(['gpgconf', '--kill', 'gpg-agent'], { env })),
  };
}

/** A web server for Docker's own packages, with a certificate that a host may believe. */
export interface OwnServer {
  /** What it serves, by path. */
  readonly files: Map<string, string | Buffer>;
  /** What was asked for. */
  readonly asked: string[];
  /** Lets a host find it, and believe its authority. */
  introduce(host: Host): Promise<void>;
  close(): Promise<void>;
}

export async function serveOwn(rig: Rig): Promise<OwnServer> {
  const folder = join(rig.folder, 'own');
  await makeCertificate(folder, join(folder, 'keys'), [OWN]);
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  const files = new Map<string, string | Buffer>();
  const asked: string[] = [];
  const tls = { cert: await read('fullchain.pem'), key: await read('privkey.pem') };
  const server = createServer(tls, ({ url = '' }, answer) => {
    asked.push(url);
    const body = files.get(url);
    if (body === undefined) answer.writeHead(404).end();
    else answer.writeHead(200, { 'Content-Length': Buffer.byteLength(body) }).end(body);
  });
  const address = rig.sandbox.network.hostAddress;
  await new Promise<void>((resolve) => server.listen(443, address, resolve));
  const authority = await read('ca.pem');
  return {
    files,
    asked,
    async introduce(host) {
      await host.must(['tee', '-a', '/etc/hosts'], { input: `${address} ${OWN}\n` });
      await host.must(['tee', '-a', '/etc/ssl/certs/ca-certificates.crt'], { input: authority });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Docker's own packages for apt: files of a repository by path, signed. */
export async function aptRepository(rig: Rig, signer: Signer, root: string): Promise<Map<string, string | Buffer>> {
  const architecture = await rig.must(['dpkg', '--print-architecture']);
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1] ?? '';
  const files = new Map<string, string | Buffer>([[`${root}/gpg`, signer.publicKey]]);
  const listed: string[] = [];
  const trees = { 'docker-ce': await engineTree(rig), 'docker-ce-cli': null, 'containerd.io': null };
  for (const [name, tree] of Object.entries(trees)) {
    const made = join(rig.folder, `deb-${name}`);
    await mkdir(join(made, 'DEBIAN'), { recursive: true });
    if (tree !== null) await rig.must(['cp', '-a', `${tree}/.`, made]);
    const depends = tree === null ? '' : 'Depends: docker-ce-cli, containerd.io\n';
    const control = `Package: ${name}\nVersion: 5:27.0.0-1\nArchitecture: ${architecture}\nMaintainer: ${MAIL}\n${depends}Description: ${name}\n`;
    await writeFile(join(made, 'DEBIAN/control'), control);
    const archive = `${made}.deb`;
    await rig.must(['dpkg-deb', '-Znone', '--root-owner-group', '--build', made, archive]);
    const bytes = await readFile(archive);
    const path = `pool/${name}.deb`;
    files.set(`${root}/${path}`, bytes);
    listed.push(`${control}Filename: ${path}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`);
  }
  const index = listed.join('\n');
  const place = `stable/binary-${architecture}/Packages`;
  const top = `Suite: ${codename}\nCodename: ${codename}\nArchitectures: ${architecture}\nComponents: stable\nDate: ${new Date().toUTCString()}\n`;
  const release = `${top}SHA256:\n ${sha256(index)} ${Buffer.byteLength(index)} ${place}\n`;
  const signed = await rig.must(['gpg', '--batch', '--clearsign'], { env: signer.env, input: release });
  files.set(`${root}/dists/${codename}/InRelease`, `${signed}\n`);
  files.set(`${root}/dists/${codename}/${place}`, index);
  return files;
}

/** dnf and what makes packages for it, as files; nothing is installed. */
export function dnfTree(): Promise<string> {
  return unpackDebian(['dnf', 'createrepo-c', 'rpm']);
}

/** Lets a host that has {@link dnfTree} be one of Red Hat's family: dnf instead of apt, under that name. */
export async function becomeDnfHost(host: Host, release: string): Promise<void> {
  await host.must(['sh', '-c', 'rm -f /usr/bin/apt-get /etc/os-release; mkdir -p /etc/dnf /etc/rpm /etc/yum.repos.d']);
  await host.must(['tee', '/etc/os-release'], { input: release });
  // What it remembers does not outlive it either.
  const folders = 'cachedir=/run/dnf/cache\npersistdir=/run/dnf/lib\nlogdir=/run/dnf/log\nreposdir=/etc/yum.repos.d\n';
  await host.must(['tee', '/etc/dnf/dnf.conf'], {
    input: `[main]\ngpgcheck=True\nskip_if_unavailable=True\n${folders}`,
  });
  await host.must(['tee', '/etc/rpm/macros'], { input: '%_dbpath /run/rpm\n' });
}

/** Packages for dnf, the first of which holds the engine; made on a host that has {@link dnfTree}. The path of the repository. */
export async function dnfRepository(rig: Rig, host: Host, signer: Signer, names: readonly string[]): Promise<string> {
  const folder = join(rig.folder, `rpm-${names[0]}`);
  const repository = join(folder, 'repository');
  await mkdir(repository, { recursive: true });
  const tree = await engineTree(rig);
  for (const [index, name] of names.entries()) {
    const holds = index === 0 ? `cp -a ${tree}/. %{buildroot}/\n%files\n/usr/*` : '%files';
    const about = `Name: ${name}\nVersion: 27.0.0\nRelease: 1\nSummary: x\nLicense: x\nAutoReqProv: no`;
    const plain = '%global __os_install_post %{nil}\n%global debug_package %{nil}';
    const spec = `${about}\n${plain}\n%description\nx\n%install\n${holds}\n`;
    await writeFile(join(folder, `${name}.spec`), spec);
    const places = ['--define', `_topdir ${folder}/build`, '--define', `_rpmdir ${repository}`];
    await host.must(['rpmbuild', '--quiet', '-bb', ...places, join(folder, `${name}.spec`)]);
  }
  const sign =
    'for file in "$1"/*/*.rpm; do GNUPGHOME=$2 rpmsign --define "__gpg /usr/bin/gpg" --define "_gpg_name $3" --addsign "$file"; done';
  await host.must(['sh', '-c', sign, 'sh', repository, signer.env['GNUPGHOME'] ?? '', MAIL]);
  await host.must(['createrepo_c', '--quiet', repository]);
  return repository;
}

/** A repository on disk as files by path. */
export async function filesOf(repository: string, root: string): Promise<Map<string, Buffer>> {
  const { stdout } = await execa('find', ['.', '-type', 'f'], { cwd: repository });
  const paths = stdout.split('\n').map((path) => path.slice(2));
  const read = paths.map(async (path) => [`${root}/${path}`, await readFile(join(repository, path))] as const);
  return new Map(await Promise.all(read));
}

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
