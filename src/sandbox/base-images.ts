import { join } from 'node:path';
import { exists, listFolder } from '../effects/files.ts';
import { run } from '../effects/process.ts';
import type { TreeEntry } from '../effects/trees.ts';
import { unpackDebian } from './debian.ts';
import { APK, APK_PACKAGES, NGINX_ENTRY, NODE_ENTRY, POSTGRES_ENTRY, REDIS_ENTRY } from './entry-scripts.ts';
import { makeLayer, pushImage, type ImageConfig, type Layer } from './image.ts';
import { withLibraries } from './shared-libraries.ts';

type Entries = Map<string, TreeEntry>;

/** Images of Docker Hub for which this machine can make a stand-in. */
export const BASE_IMAGES = [
  'busybox:1.37',
  'alpine:3.20',
  'node:20-alpine',
  'nginx:1.27-alpine',
  'redis:7-alpine',
  'postgres:15',
] as const;

export type BaseImage = (typeof BASE_IMAGES)[number];

/** What lies on top of the busybox layer, and how it starts. */
interface Recipe {
  layer?(): Promise<Layer>;
  readonly config: ImageConfig;
}

/** To be raised when a layer below gets other entries, since layers are cached. */
const REVISION = '2';

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Makes stand-ins for base images out of what this machine has (its node, packages of its distribution) and puts them into a
 * registry under their real names, for this machine's platform. Layers are cached: the second time is fast.
 *
 * @param url `http://host:port` of a registry that serves as a mirror of Docker Hub
 */
export async function pushBaseImages(url: string, images: readonly BaseImage[]): Promise<void> {
  for (const image of images) {
    const labels = {
      'org.opencontainers.image.title': image,
      'org.opencontainers.image.description': `Stand-in for ${image}, made by xingrin from programs of this machine`,
    };
    const config = { ...RECIPES[image].config, Labels: labels };
    await pushImage(url, `library/${image}`, await layersOf(image), config);
  }
}

/** Makes the layers of these images, so that later pushes find them in the cache. */
export async function prepareBaseImages(images: readonly BaseImage[]): Promise<void> {
  for (const image of images) await layersOf(image);
}

async function layersOf(image: BaseImage): Promise<Layer[]> {
  const { layer } = RECIPES[image];
  return layer === undefined ? [await busyboxLayer()] : [await busyboxLayer(), await layer()];
}

const RECIPES: Record<BaseImage, Recipe> = {
  'busybox:1.37': { config: { Env: [PATH], Cmd: ['sh'] } },
  'alpine:3.20': { layer: alpineLayer, config: { Env: [PATH], Cmd: ['/bin/sh'] } },
  'node:20-alpine': {
    layer: nodeLayer,
    config: {
      Env: [PATH, `NODE_VERSION=${process.versions.node}`],
      Entrypoint: ['docker-entrypoint.sh'],
      Cmd: ['node'],
    },
  },
  'nginx:1.27-alpine': {
    layer: nginxLayer,
    config: {
      Env: [PATH],
      Entrypoint: ['/docker-entrypoint.sh'],
      Cmd: ['nginx', '-g', 'daemon off;'],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGQUIT',
    },
  },
  'redis:7-alpine': {
    layer: redisLayer,
    config: {
      Env: [PATH],
      Entrypoint: ['docker-entrypoint.sh'],
      Cmd: ['redis-server'],
      WorkingDir: '/data',
      Volumes: { '/data': {} },
      ExposedPorts: { '6379/tcp': {} },
    },
  },
  'postgres:15': {
    layer: postgresLayer,
    config: {
      Env: [PATH, 'PGDATA=/var/lib/postgresql/data', 'LANG=C.UTF-8'],
      Entrypoint: ['docker-entrypoint.sh'],
      Cmd: ['postgres'],
      Volumes: { '/var/lib/postgresql/data': {} },
      ExposedPorts: { '5432/tcp': {} },
      StopSignal: 'SIGINT',
    },
  },
};

const USERS: readonly (readonly [name: string, id: number, home: string])[] = [
  ['root', 0, '/root'],
  ['nginx', 101, '/nonexistent'],
  ['postgres', 70, '/var/lib/postgresql'],
  ['redis', 999, '/data'],
  ['node', 1000, '/home/node'],
  ['nobody', 65534, '/nonexistent'],
];

/** Debian's programs are built for it: nginx without a `user` line wants it. */
const NOGROUP = 'nogroup:x:65533:\n';

/** With a wget of its own: that of Debian 12's busybox dies of a segmentation fault, and health checks live on it. */
async function busyboxLayer(): Promise<Layer> {
  const tree = await unpackDebian(['busybox-static']);
  const wget = await unpackDebian(['wget']);
  return makeLayer('busybox', [tree, wget, JSON.stringify(USERS), NOGROUP, REVISION], async () => {
    const program = await oneOf(tree, ['bin/busybox', 'usr/bin/busybox']);
    const applets = await run([join(tree, program), '--list-full']);
    const entries: Entries = new Map([
      ['/bin/busybox', { copy: join(tree, program), mode: 0o755 }],
      ['/etc/passwd', { text: USERS.map(([name, id, home]) => `${name}:x:${id}:${id}::${home}:/bin/sh\n`).join('') }],
      ['/etc/group', { text: USERS.map(([name, id]) => `${name}:x:${id}:\n`).join('') + NOGROUP }],
      ['/etc/shadow', { text: USERS.map(([name]) => `${name}:*:::::::\n`).join(''), mode: 0o600 }],
      ['/tmp', { folder: true, mode: 0o1777 }],
      ['/var/tmp', { folder: true, mode: 0o1777 }],
      ['/root', { folder: true, mode: 0o700 }],
      ['/run', { folder: true }],
      ['/var/run', { link: '/run' }],
      ['/var/log', { folder: true }],
    ]);
    for (const applet of applets.stdout.split('\n')) {
      if (applet !== '' && applet !== 'bin/busybox') entries.set(`/${applet}`, { link: '/bin/busybox' });
    }
    for (const [path, entry] of await withLibraries(wget, ['/usr/bin/wget'])) entries.set(path, entry);
    // As busybox does it: no second try.
    return entries.set('/etc/wgetrc', { text: 'tries = 1\n' });
  });
}

/** With an `apk` that knows one package: what it adds lies there, out of every program's sight until it is asked for. */
async function alpineLayer(): Promise<Layer> {
  const tree = await unpackDebian(['curl']);
  const below = await unpackDebian(['wget']);
  return makeLayer('alpine', [tree, below, APK, REVISION], async () => {
    const entries = await withLibraries(tree, ['/usr/bin/curl']);
    for (const path of (await withLibraries(below, ['/usr/bin/wget'])).keys()) entries.delete(path);
    const program = entries.get('/usr/bin/curl');
    if (program === undefined) throw new Error(`no curl in ${tree}`);
    entries.delete('/usr/bin/curl');
    return entries
      .set(`${APK_PACKAGES}/curl/usr/bin/curl`, program)
      .set('/sbin/apk', { text: APK, mode: 0o755 })
      .set('/etc/alpine-release', { text: '3.20.0\n' });
  });
}

/** The node that runs us. */
async function nodeLayer(): Promise<Layer> {
  return makeLayer('node', [process.execPath, process.version, process.arch, NODE_ENTRY, REVISION], async () => {
    const libraries = await withLibraries('', [process.execPath]);
    libraries.delete(process.execPath);
    return new Map([
      ...libraries,
      ['/usr/local/bin/node', { copy: process.execPath, mode: 0o755 }],
      ['/usr/local/bin/docker-entrypoint.sh', { text: NODE_ENTRY, mode: 0o755 }],
      ['/home/node', { folder: true }],
    ]);
  });
}

const NGINX_SETTINGS = `user nginx;
worker_processes auto;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  sendfile on;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
`;

const NGINX_SITE = `server {
  listen 80;
  location / { root /usr/share/nginx/html; index index.html; }
}
`;

async function nginxLayer(): Promise<Layer> {
  const tree = await unpackDebian(['nginx-light']);
  return makeLayer('nginx', [tree, NGINX_ENTRY, NGINX_SETTINGS, NGINX_SITE, REVISION], async () => {
    return new Map([
      ...(await withLibraries(tree, ['/usr/sbin/nginx'])),
      ['/etc/nginx/mime.types', { copy: join(tree, 'etc/nginx/mime.types') }],
      ['/etc/nginx/nginx.conf', { text: NGINX_SETTINGS }],
      ['/etc/nginx/conf.d/default.conf', { text: NGINX_SITE }],
      ['/usr/share/nginx/html/index.html', { text: 'nginx\n' }],
      ['/docker-entrypoint.d', { folder: true }],
      ['/docker-entrypoint.sh', { text: NGINX_ENTRY, mode: 0o755 }],
      ['/var/log/nginx/access.log', { link: '/dev/stdout' }],
      ['/var/log/nginx/error.log', { link: '/dev/stderr' }],
      ['/var/lib/nginx', { folder: true }],
      ['/var/cache/nginx', { folder: true }],
    ]);
  });
}

async function redisLayer(): Promise<Layer> {
  const tree = await unpackDebian(['redis-server']);
  return makeLayer('redis', [tree, REDIS_ENTRY, REVISION], async () => {
    return new Map([
      ...(await withLibraries(tree, ['/usr/bin/redis-check-rdb', '/usr/bin/redis-cli'])),
      // One program under three names; the package makes links of the other two.
      ['/usr/bin/redis-server', { link: 'redis-check-rdb' }],
      ['/usr/local/bin/docker-entrypoint.sh', { text: REDIS_ENTRY, mode: 0o755 }],
      ['/data', { folder: true }],
    ]);
  });
}

/** The version 15 where the distribution has it, or else the one that it has. */
async function postgresLayer(): Promise<Layer> {
  const known = await run(['apt-cache', 'show', '--no-all-versions', 'postgresql-15']);
  const server = known.code === 0 ? 'postgresql-15' : 'postgresql';
  const tree = await unpackDebian([server, 'libc-bin'], [/^libllvm/, /^perl/, /^libperl/, /^locales/]);
  return makeLayer('postgres', [tree, POSTGRES_ENTRY, REVISION], async () => {
    const [version = ''] = await listFolder(join(tree, 'usr/lib/postgresql'));
    const home = `/usr/lib/postgresql/${version}`;
    const share = `/usr/share/postgresql/${version}`;
    const programs = ['postgres', 'initdb', 'pg_ctl', 'psql', 'pg_isready', 'pg_dump', 'pg_dumpall', 'pg_restore'];
    const parts = (await listFolder(join(tree, home, 'lib'))).filter((name) => NEEDED_PARTS.test(name));
    const entries: Entries = await withLibraries(
      tree,
      programs.map((program) => `${home}/bin/${program}`),
      parts.map((part) => `${home}/lib/${part}`),
    );
    for (const program of programs) entries.set(`/usr/local/bin/${program}`, { link: `${home}/bin/${program}` });
    for (const folder of [share, '/usr/share/zoneinfo', '/usr/lib/locale/C.utf8'])
      entries.set(folder, { copyAll: join(tree, folder) });
    return entries
      .set('/usr/local/bin/docker-entrypoint.sh', { text: POSTGRES_ENTRY, mode: 0o755 })
      .set('/docker-entrypoint-initdb.d', { folder: true })
      .set('/var/lib/postgresql/data', { folder: true })
      .set('/run/postgresql', { folder: true });
  });
}

/** What initdb loads, and the extensions that an application is likely to ask for. */
const NEEDED_PARTS =
  /^(dict_snowball|plpgsql|libpqwalreceiver|pgoutput|pg_trgm|pgcrypto|uuid-ossp|citext|hstore|.*_and_.*)\.so$/;

async function oneOf(tree: string, paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await exists(join(tree, path))) return path;
  throw new Error(`none of ${paths.join(', ')} in ${tree}`);
}
