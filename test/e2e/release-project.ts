import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Outcome, Rig, RunOptions } from './rig.ts';

/** A project to release from: a checkout and its bare remote. */
export interface ReleaseProject {
  readonly root: string;
  readonly remote: string;
  /** Where its images go: a repository of its own, so that tests do not see each other's. */
  readonly repository: string;
  xingrin(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  git(...args: string[]): Promise<string>;
  /** The same on the bare remote. */
  there(...args: string[]): Promise<string>;
  /** Writes files and commits them. */
  commit(files: Readonly<Record<string, string>>): Promise<void>;
  /** A second checkout of the same remote: another operator. */
  clone(name: string): Promise<ReleaseProject>;
  /** Digest of what the registry has under an image tag; null for nothing. */
  digest(image: string, tag: string): Promise<string | null>;
  /** The labels of an image in the registry. */
  labels(image: string, tag: string): Promise<Record<string, string>>;
}

const DOCKERFILE = 'FROM scratch\nARG IMAGE_TAG\nENV IMAGE_TAG=$IMAGE_TAG\nCOPY VERSION /VERSION\n';

/** Makes a project of small images, with one commit on main that is at the remote. */
export async function releaseProject(rig: Rig, name: string, images = ['one', 'two']): Promise<ReleaseProject> {
  const remote = await rig.bareRepository(name);
  const root = join(rig.folder, name);
  await rig.must(['git', 'clone', '--quiet', remote, root]);
  const project = projectAt(rig, root, remote, `${rig.sandbox.registry.address}/${name.toLowerCase()}`);
  const list = images.map((image) => `  - name: ${image}\n    dockerfile: docker/${image}/Dockerfile\n`).join('');
  await project.commit({
    VERSION: 'v0.0.0\n',
    '.gitignore': '.xingrin/\n',
    'xingrin.yaml': `images:\n${list}`,
    'docker/docker-compose.yml': 'services: {}\n',
    ...Object.fromEntries(images.map((image) => [`docker/${image}/Dockerfile`, DOCKERFILE])),
  });
  await project.git('push', '--quiet', '--set-upstream', 'origin', 'main');
  return project;
}

function projectAt(rig: Rig, root: string, remote: string, repository: string): ReleaseProject {
  const { url } = rig.sandbox.registry;
  const path = repository.slice(repository.indexOf('/') + 1);
  const accept = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json';
  const manifest = (image: string, tag: string): Promise<Response> =>
    fetch(`${url}/v2/${path}/${image}/manifests/${tag}`, { headers: { accept } });
  return {
    root,
    remote,
    repository,
    xingrin: (args, options = {}) =>
      rig.xingrin(args, { cwd: root, ...options, env: { DOCKER_USER: repository, ...options.env } }),
    git: (...args) => rig.must(['git', ...args], { cwd: root }),
    there: (...args) => rig.must(['git', ...args], { cwd: remote }),
    async commit(files) {
      for (const [file, text] of Object.entries(files)) {
        await mkdir(join(root, file, '..'), { recursive: true });
        await writeFile(join(root, file), text);
      }
      await rig.must(['git', 'add', '--', ...Object.keys(files)], { cwd: root });
      await rig.must(['git', 'commit', '--quiet', '--message', 'work'], { cwd: root });
    },
    async clone(name) {
      const other = join(rig.folder, name);
      await rig.must(['git', 'clone', '--quiet', remote, other]);
      return projectAt(rig, other, remote, repository);
    },
    async digest(image, tag) {
      const response = await manifest(image, tag);
      await response.arrayBuffer();
      return response.status === 200 ? response.headers.get('docker-content-digest') : null;
    },
    async labels(image, tag) {
      const { config } = (await (await manifest(image, tag)).json()) as { config: { digest: string } };
      const blob = await fetch(`${url}/v2/${path}/${image}/blobs/${config.digest}`);
      return ((await blob.json()) as { config: { Labels: Record<string, string> } }).config.Labels;
    },
  };
}

/** Everything a refused command must leave as it was: branches, tags, files of the checkout, and the remote. */
export async function snapshot(project: ReleaseProject): Promise<string> {
  const local = await project.git('for-each-ref', 'refs/heads', 'refs/tags');
  const status = await project.git('status', '--porcelain');
  const head = await project.git('rev-parse', 'HEAD');
  return [local, status, head, await project.there('for-each-ref')].join('\n--\n');
}
