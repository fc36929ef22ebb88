import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Outcome, Rig, RunOptions } from './rig.ts';

const IMAGES = ['server', 'frontend', 'nginx', 'worker', 'agent'] as const;
type ImageName = (typeof IMAGES)[number];

const MANIFESTS = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** How a release differs from the one that `init` writes. */
export interface ReleaseChanges {
  /** By image: a Dockerfile whose `FROM base` is that image as it was released first. The others are those of the first two. */
  readonly images?: Readonly<Partial<Record<ImageName, string>>>;
  /** By path: text of a file, or null for one that goes. */
  readonly files?: Readonly<Record<string, string | null>>;
  readonly lock?: boolean;
}

const SMALL_SERVICE = `
    image: \${DOCKER_USER:-yyhuni}/xingrin-frontend:\${IMAGE_TAG:?is empty}
    restart: always
    read_only: true
`;

/** Changes that leave two services, each up as soon as it is started: for tests that deploy many times. */
export const SMALL_STACK: Readonly<Record<string, string>> = {
  'docker/docker-compose.yml': `name: small\nservices:\n  one:${SMALL_SERVICE}  two:${SMALL_SERVICE}`,
  'xingrin.yaml': 'health:\n  timeout: 30\n  stable: 0\n',
};

/** What `init` writes, published by hand: a bare remote, a checkout to release from, images in the rig's registry. */
export interface Product {
  readonly rig: Rig;
  readonly remote: string;
  /** The checkout that releases are made in. */
  readonly source: string;
  /** The text of a file as every release starts from. */
  file(path: string): Promise<string>;
  /** Images, git tag, VERSION and release lock, all at their places. Takes well under a second unless images are to be built. */
  release(version: string, changes?: ReleaseChanges): Promise<void>;
  /** Lets an image tag mean what another one means. */
  retag(image: ImageName, from: string, to: string): Promise<void>;
  /** The registry forgets an image tag. */
  forget(image: ImageName, version: string): Promise<void>;
  reference(image: ImageName, version: string): string;
  /** A checkout of main as it is now, for an operator. */
  checkout(name: string): Promise<Server>;
}

export interface Document {
  readonly ok: boolean;
  readonly exitCode: number;
  readonly command: string;
  readonly data: Record<string, unknown> & {
    readonly steps?: readonly { kind: string; title: string; host: string; status: string }[];
  };
  readonly warnings: readonly string[];
  readonly error?: { code: string; message: string; hint?: string; evidence?: string };
}

/** Everything of a deployment that must not change by accident. */
export interface Snapshot {
  /** `service id image state`, sorted. */
  readonly containers: readonly string[];
  readonly env: string | null;
  readonly head: string;
  readonly branch: string;
  readonly version: string;
  readonly changedFiles: string;
  readonly history: string | null;
}

/** A checkout that deployments are made in. */
export interface Server {
  readonly root: string;
  readonly env: string;
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** With --json; the document is parsed, and must be the only thing on stdout. */
  json(args: readonly string[], options?: RunOptions): Promise<Document>;
  /** Must succeed. */
  ok(args: readonly string[], options?: RunOptions): Promise<Document>;
  git(...args: string[]): Promise<string>;
  snapshot(): Promise<Snapshot>;
  /** Containers of the stack by service: which image they run and how they are. */
  services(): Promise<Record<string, { id: string; image: string; state: string; name: string }>>;
}

/** Makes the product with v1.0.0 and v1.1.0 released. Their images differ; what later releases do not name is that of v1.1.0. */
export async function makeProduct(rig: Rig, options: ReleaseChanges = {}): Promise<Product> {
  const source = join(rig.folder, 'source');
  const initialized = await rig.xingrin(['init', source]);
  if (initialized.exitCode !== 0) throw new Error(initialized.stderr);
  const remote = await rig.bareRepository('remote');
  await hasten(source);
  // Where agents and commands find the front door: the engine has a network of its own.
  const example = join(source, 'docker/.env.example');
  const settings = await readFile(example, 'utf8');
  await writeFile(example, settings.replace('PUBLIC_HOST=localhost', `PUBLIC_HOST=${rig.engine.address}`));
  await writeFiles(source, options.files ?? {});
  const git = (...args: string[]): Promise<string> => rig.must(['git', ...args], { cwd: source });
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'start');
  await git('remote', 'add', 'origin', remote);
  const start = await git('rev-parse', 'HEAD');
  const product = assemble(rig, source, remote, start, git);
  for (const version of ['v1.0.0', 'v1.1.0']) {
    for (const image of IMAGES)
      await build(rig, product.reference(image, version), source, `docker/${image}/Dockerfile`, version);
    await product.release(version);
  }
  return product;
}

function assemble(
  rig: Rig,
  source: string,
  remote: string,
  start: string,
  git: (...args: string[]) => Promise<string>,
): Product {
  const { url, address } = rig.sandbox.registry;
  const reference = (image: ImageName, version: string): string => `${address}/team/xingrin-${image}:${version}`;
  const manifestAt = (image: ImageName, name: string): string => `${url}/v2/team/xingrin-${image}/manifests/${name}`;

  async function manifest(image: ImageName, tag: string): Promise<{ digest: string; type: string; text: string }> {
    const response = await fetch(manifestAt(image, tag), { headers: { accept: MANIFESTS } });
    if (response.status !== 200) throw new Error(`${image}:${tag}: ${response.status}`);
    return {
      digest: response.headers.get('docker-content-digest') ?? '',
      type: response.headers.get('content-type') ?? '',
      text: await response.text(),
    };
  }
  async function retag(image: ImageName, from: string, to: string): Promise<void> {
    const { type, text } = await manifest(image, from);
    const put = await fetch(manifestAt(image, to), { method: 'PUT', headers: { 'content-type': type }, body: text });
    if (put.status !== 201) throw new Error(`${image}:${to}: ${put.status}`);
  }

  return {
    rig,
    remote,
    source,
    reference,
    retag,
    file: (path) => git('show', `${start}:${path}`),
    async release(version, { images = {}, files = {}, lock = true } = {}) {
      for (const image of IMAGES) {
        const dockerfile = images[image];
        if (dockerfile !== undefined) {
          const folder = join(rig.folder, 'variant');
          await writeFiles(folder, {
            Dockerfile: dockerfile.replace('FROM base', `FROM ${reference(image, 'v1.1.0')}`),
          });
          await build(rig, reference(image, version), folder, 'Dockerfile', version);
        } else if (!['v1.0.0', 'v1.1.0'].includes(version)) await retag(image, 'v1.1.0', version);
      }
      await git('checkout', '--quiet', start, '--', 'docker', '.gitignore');
      await git('clean', '--quiet', '-fd', 'docker');
      await writeFiles(source, { VERSION: `${version}\n`, ...files });
      await git('add', '--all');
      await git('commit', '--quiet', '--message', `Release ${version}`);
      await git('tag', version);
      if (lock) {
        const commit = await git('rev-parse', 'HEAD');
        const entries = await Promise.all(
          IMAGES.map(async (image) => {
            const { digest } = await manifest(image, version);
            const repository = `${address}/team`;
            return [`xingrin-${image}`, { repository, digest, platforms: { 'linux/amd64': digest } }] as const;
          }),
        );
        const document = { schema: 'xingrin-release/v1', version, commit, images: Object.fromEntries(entries) };
        await writeFiles(source, { [`releases/${version}.json`]: `${JSON.stringify(document, null, 2)}\n` });
        await git('add', '--all');
        await git('commit', '--quiet', '--message', `Publish ${version}`);
      }
      await git('push', '--quiet', 'origin', 'main', version);
    },
    async forget(image, version) {
      const { digest } = await manifest(image, version);
      const removed = await fetch(manifestAt(image, digest), { method: 'DELETE' });
      if (removed.status !== 202) throw new Error(`${image}:${version}: ${removed.status}`);
    },
    async checkout(name) {
      const root = join(rig.folder, name);
      await rig.must(['git', 'clone', '--quiet', remote, root]);
      return serverAt(rig, root);
    },
  };
}

/** Health checks of a machine that has nothing else to do: the tests wait for many of them. */
async function hasten(root: string): Promise<void> {
  const path = join(root, 'docker/docker-compose.yml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replaceAll('interval: 2s', 'interval: 1s'));
  await writeFile(join(root, 'xingrin.yaml'), 'health:\n  timeout: 60\n  stable: 1\n');
}

async function build(rig: Rig, reference: string, context: string, dockerfile: string, version: string): Promise<void> {
  const argument = ['--build-arg', `IMAGE_TAG=${version}`];
  await rig.must(['docker', 'build', '--quiet', ...argument, '--tag', reference, '--file', dockerfile, '.'], {
    cwd: context,
    env: { DOCKER_BUILDKIT: '0' },
  });
  await rig.must(['docker', 'push', '--quiet', reference]);
  await rig.must(['docker', 'rmi', '--force', reference]);
}

async function writeFiles(root: string, files: Readonly<Record<string, string | null>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    if (text === null) await rm(file, { recursive: true });
    else {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      if (text.startsWith('#!')) await chmod(file, 0o755);
    }
  }
}

/** A deployment in an existing folder. */
export function serverAt(rig: Rig, root: string): Server {
  const env = join(root, 'docker/.env');
  const git = (...args: string[]): Promise<string> => rig.must(['git', ...args], { cwd: root });
  const run: Server['run'] = (args, options) => rig.xingrin(['-C', root, ...args], options);
  const json: Server['json'] = async (args, options) => {
    const { stdout, stderr, exitCode } = await run(['--json', ...args], options);
    let document: Document;
    try {
      document = JSON.parse(stdout) as Document;
    } catch {
      throw new Error(`${args.join(' ')}: ${exitCode}: no document: ${stdout}\n${stderr}`);
    }
    if (document.exitCode !== exitCode) throw new Error(`exit code ${exitCode}, but the document says ${stdout}`);
    return document;
  };
  const services: Server['services'] = async () => {
    const filter = ['--filter', `label=com.docker.compose.project.working_dir=${join(root, 'docker')}`];
    const ids = (await rig.must(['docker', 'ps', '--all', '--quiet', '--no-trunc', ...filter])).split('\n');
    if (ids[0] === '') return {};
    const inspected = JSON.parse(await rig.must(['docker', 'inspect', ...ids])) as {
      Id: string;
      Image: string;
      Name: string;
      State: { Status: string; Health?: { Status: string } };
      Config: { Labels: Record<string, string> };
    }[];
    const found: Awaited<ReturnType<Server['services']>> = {};
    for (const { Id, Image, Name, State, Config } of inspected) {
      const service = Config.Labels['com.docker.compose.service'] ?? '';
      // Two containers of one service would be half of a switch.
      if (found[service] !== undefined) throw new Error(`two containers of ${service}`);
      const state = State.Health === undefined ? State.Status : `${State.Status} ${State.Health.Status}`;
      found[service] = { id: Id, image: Image, state, name: Name.slice(1) };
    }
    return found;
  };
  return {
    root,
    env,
    run,
    json,
    git,
    services,
    async ok(args, options) {
      const document = await json(args, options);
      if (!document.ok) throw new Error(`${args.join(' ')}: ${JSON.stringify(document, null, 2)}`);
      return document;
    },
    async snapshot() {
      const containers = Object.entries(await services());
      return {
        containers: containers.map(([name, { id, image, state }]) => `${name} ${id} ${image} ${state}`).toSorted(),
        env: await readOrNull(env),
        head: await git('rev-parse', 'HEAD'),
        branch: await git('branch', '--show-current'),
        version: await readFile(join(root, 'VERSION'), 'utf8'),
        changedFiles: await git('status', '--porcelain'),
        history: await readOrNull(join(root, '.xingrin/history.json')),
      };
    },
  };
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}
