import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openRig, type Outcome, type Rig, type RunOptions } from './rig.ts';

/**
 * A product laid out and released as XingRin itself is, written for these tests: no xingrin.yaml, a PostgreSQL under the profile
 * `local-db`, a Redis, four services of the release and the worker image; images are tagged by CI, and VERSION follows the git
 * tag in a commit of its own.
 */
export interface XingrinLike {
  readonly rig: Rig;
  /** The bare repository that installations are cloned from. */
  readonly remote: string;
  /** Pushes the git tag and the images, then the commit that holds the new VERSION. */
  release(version: string, how?: { readonly migration?: 'fails' }): Promise<void>;
  /** A new checkout below the rig's folder, at main or at a git tag; its path. */
  clone(name: string, tag?: string): Promise<string>;
  /** The built command in a checkout, without DOCKER_USER, as XingRin's operators have it. */
  xingrin(checkout: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
}

export async function openXingrinLike(): Promise<XingrinLike> {
  const rig = await openRig(['busybox:1.37', 'nginx:1.27-alpine', 'redis:7-alpine', 'postgres:15']);
  try {
    return await assemble(rig);
  } catch (error) {
    await rig.close();
    throw error;
  }
}

async function assemble(rig: Rig): Promise<XingrinLike> {
  const remote = await rig.bareRepository('product');
  const work = join(rig.folder, 'developer');
  for (const [path, text] of Object.entries(FILES)) {
    const file = join(work, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    if (text.startsWith('#!')) await chmod(file, 0o755);
  }
  const git = (...args: string[]): Promise<string> => rig.must(['git', '-C', work, ...args]);
  await git('init', '--quiet');
  await git('remote', 'add', 'origin', remote);
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Begin');

  return {
    rig,
    remote,
    async release(version, how = {}) {
      await git('commit', '--quiet', '--allow-empty', '--message', `Work for ${version}`);
      await git('tag', version);
      await git('push', '--quiet', 'origin', 'main', version);
      for (const name of IMAGES) await publish(rig, work, name, version, how.migration === 'fails');
      await writeFile(join(work, 'VERSION'), `${version}\n`);
      await git('commit', '--quiet', '--all', '--message', `VERSION ${version}`);
      await git('push', '--quiet', 'origin', 'main');
    },
    async clone(name, tag) {
      const path = join(rig.folder, name);
      const branch = tag === undefined ? [] : ['--branch', tag, '-c', 'advice.detachedHead=false'];
      await rig.must(['git', 'clone', '--quiet', ...branch, remote, path]);
      return path;
    },
    xingrin: (checkout, args, options = {}) =>
      rig.xingrin(args, { cwd: checkout, ...options, env: { DOCKER_USER: undefined, ...options.env } }),
  };
}

const IMAGES = ['server', 'frontend', 'nginx', 'worker', 'agent'] as const;

/** What XingRin's CI does for one image; it stays in the registry only. */
async function publish(rig: Rig, work: string, name: string, version: string, broken: boolean): Promise<void> {
  const image = `${rig.sandbox.registry.address}/yyhuni/xingrin-${name}:${version}`;
  const values = [`IMAGE_TAG=${version}`, `MIGRATION=${broken ? 'fails' : 'works'}`];
  const args = values.flatMap((value) => ['--build-arg', value]);
  const file = join(work, 'docker', name, 'Dockerfile');
  await rig.must(['docker', 'build', '--quiet', ...args, '--tag', image, '--file', file, work]);
  await rig.must(['docker', 'push', '--quiet', image]);
  await rig.must(['docker', 'rmi', '--force', image]);
}

const COMPOSE = `services:
  postgres:
    profiles: [local-db]
    image: postgres:15
    restart: always
    environment:
      POSTGRES_DB: \${DB_NAME}
      POSTGRES_USER: \${DB_USER}
      POSTGRES_PASSWORD: \${DB_PASSWORD}
    ports: ['\${DB_PORT}:5432']
    volumes:
      - postgres_data:/var/lib/postgresql/data
      - ./postgres/more-databases.sh:/docker-entrypoint-initdb.d/more-databases.sh
    healthcheck:
      test: [CMD-SHELL, 'pg_isready -U \${DB_USER}']
      interval: 1s
      timeout: 3s
      retries: 30

  redis:
    image: redis:7-alpine
    restart: always
    ports: ['\${REDIS_PORT}:6379']
    healthcheck:
      test: [CMD, redis-cli, ping]
      interval: 1s
      timeout: 3s
      retries: 5

  server:
    image: \${DOCKER_USER:-yyhuni}/xingrin-server:\${IMAGE_TAG:?is missing}
    restart: always
    env_file: [.env]
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock
    depends_on:
      redis:
        condition: service_healthy
    healthcheck:
      test: [CMD, curl, -f, http://localhost:8888/api/]
      interval: 1s
      timeout: 5s
      retries: 3
      start_period: 30s

  agent:
    image: \${DOCKER_USER:-yyhuni}/xingrin-agent:\${IMAGE_TAG:?is missing}
    container_name: xingrin-agent
    restart: always
    environment:
      - SERVER_URL=http://server:8888
      - IMAGE_TAG=\${IMAGE_TAG}
    volumes:
      - /proc:/host/proc:ro
    depends_on:
      server:
        condition: service_healthy

  frontend:
    image: \${DOCKER_USER:-yyhuni}/xingrin-frontend:\${IMAGE_TAG:?is missing}
    restart: always
    depends_on:
      server:
        condition: service_healthy

  nginx:
    image: \${DOCKER_USER:-yyhuni}/xingrin-nginx:\${IMAGE_TAG:?is missing}
    restart: always
    ports: ['8083:8083']
    volumes:
      - ./nginx/ssl:/etc/nginx/ssl:ro
    depends_on:
      server:
        condition: service_healthy
      frontend:
        condition: service_started

volumes:
  postgres_data:

networks:
  default:
    name: xingrin_network
`;

const EXAMPLE = `# Where the database is. postgres, localhost, 127.0.0.1: the container of this stack. 数据库地址
DB_HOST=postgres
DB_PORT=5432
DB_NAME=xingrin
DB_USER=postgres
DB_PASSWORD=for-everybody

REDIS_HOST=redis
REDIS_PORT=6379

# server: this machine only
PUBLIC_HOST=server

# Change it before you go public.
DJANGO_SECRET_KEY=insecure-for-everybody

DOCKER_USER=yyhuni
# The installer writes the version here.
IMAGE_TAG=__WILL_BE_SET_BY_INSTALLER__
`;

/** Restarted again and again by Docker while the database does not let it in. */
const SERVE = `#!/bin/sh
i=0
until pg_isready -q -h "$DB_HOST" -p "$DB_PORT" || [ $i -ge 100 ]; do i=$((i + 1)); sleep 0.2; done
/app/query 'SELECT 1' > /dev/null || exit 1
mkdir -p /www/api
echo "$IMAGE_TAG" > /www/api/index.html
exec httpd -f -p 8888 -h /www
`;

const QUERY = `#!/bin/sh
PGPASSWORD=$DB_PASSWORD exec psql -X -q -t -A -v ON_ERROR_STOP=1 \\
  -h "$DB_HOST" -p "$DB_PORT" -U "$DB_USER" -d "$DB_NAME" -c "$1"
`;

/** Only what init-data.sh asks of it. */
const PYTHON = `#!/bin/sh
[ "$2" != migrate ] && exit 0
if [ "$MIGRATION" = fails ]; then
  echo 'django.db.utils.ProgrammingError: column "colour" does not exist' >&2
  exit 1
fi
exec /app/query 'CREATE TABLE IF NOT EXISTS findings (name text)'
`;

const INIT_DATA = `#!/bin/bash
set -e
cd "$(dirname "$0")/.."
docker compose ps --status running | grep -q server
docker compose exec -T server python manage.py check
docker compose exec -T server python manage.py migrate
`;

const NGINX = `events {}
http {
  server {
    listen 8083 ssl;
    ssl_certificate /etc/nginx/ssl/fullchain.pem;
    ssl_certificate_key /etc/nginx/ssl/privkey.pem;
    location /api/ { proxy_pass http://server:8888; }
    location / { proxy_pass http://frontend:3000; }
  }
}
`;

const BUILT = 'ARG IMAGE_TAG\nENV IMAGE_TAG=$IMAGE_TAG\n';

const FILES: Readonly<Record<string, string>> = {
  VERSION: 'v0.9.0\n',
  '.gitignore': 'docker/.env\ndocker/nginx/ssl/*.pem\n',
  'docker/.env.example': EXAMPLE,
  'docker/docker-compose.yml': COMPOSE,
  'docker/postgres/more-databases.sh': `#!/bin/sh\npsql -U "$POSTGRES_USER" -d postgres -c 'CREATE DATABASE xingrin_dev'\n`,
  'docker/scripts/init-data.sh': INIT_DATA,
  'docker/server/serve': SERVE,
  'docker/server/query': QUERY,
  'docker/server/python': PYTHON,
  'docker/server/curl': '#!/bin/sh\nshift\nexec wget -q -O /dev/null "$@"\n',
  'docker/server/Dockerfile': `FROM postgres:15
${BUILT}ARG MIGRATION
ENV MIGRATION=$MIGRATION
COPY docker/server/serve docker/server/query /app/
COPY docker/server/python docker/server/curl /usr/local/bin/
STOPSIGNAL SIGKILL
ENTRYPOINT ["/app/serve"]
`,
  'docker/agent/Dockerfile': `FROM busybox:1.37
${BUILT}STOPSIGNAL SIGKILL
CMD ["sh", "-c", "while wget -q -O /dev/null $SERVER_URL/api/; do sleep 1; done"]
`,
  'docker/worker/Dockerfile': `FROM busybox:1.37\n${BUILT}CMD ["true"]\n`,
  'docker/frontend/Dockerfile': `FROM busybox:1.37
${BUILT}RUN mkdir /www && echo "pages of $IMAGE_TAG" > /www/index.html
STOPSIGNAL SIGKILL
CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]
`,
  'docker/nginx/nginx.conf': NGINX,
  'docker/nginx/Dockerfile': `FROM nginx:1.27-alpine\n${BUILT}COPY docker/nginx/nginx.conf /etc/nginx/nginx.conf\n`,
};
