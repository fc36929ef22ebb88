import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { envValue, parseEnvFile } from '../../src/domain/env-file.ts';
import { until } from '../until.ts';
import { journalIsClosed, killedAtWrite } from './kill.ts';
import { makeProduct, SMALL_STACK, type Product, type Server } from './product.ts';
import { ENTRY, openRig, type Rig } from './rig.ts';

const BUILD = `
    build:
      context: ..
      dockerfile: docker/frontend/Dockerfile
      args:
        IMAGE_TAG: \${IMAGE_TAG:-latest}-dev`;

/** One service that production has, one that it has not; the image for tasks is left to us. */
const DEVELOPMENT = `name: small
services:
  one:
    image: small-one:\${IMAGE_TAG:-latest}-dev${BUILD}
    develop:
      watch:
        - action: rebuild
          path: ./frontend/www
  frontend:
    image: small-frontend:\${IMAGE_TAG:-latest}-dev${BUILD}
`;
const WORKER = `  worker:
    image: docker-worker:\${IMAGE_TAG:-latest}-dev
    command: echo built
    restart: 'no'${BUILD.replace('frontend', 'worker')}
`;

let rig: Rig;
let product: Product;
let server: Server;
let devFile: string;

beforeAll(async () => {
  rig = await openRig();
  product = await makeProduct(rig, { files: SMALL_STACK });
  const files = { ...SMALL_STACK, 'docker/docker-compose.dev.yml': DEVELOPMENT };
  await product.release('v1.2.0', { files });
  await product.release('v1.3.0', { files });
  server = await product.checkout('server');
  await server.git('reset', '--quiet', '--hard', 'v1.2.0');
  devFile = join(server.root, 'docker/docker-compose.dev.yml');
});
afterAll(() => rig?.close());

async function setting(key: string): Promise<string | undefined> {
  return envValue(parseEnvFile(await readFile(server.env, 'utf8'), server.env), key);
}

async function running(): Promise<string[]> {
  return Object.keys(await server.services()).toSorted();
}

async function inDevelopment(version: string, services: readonly string[] = ['frontend', 'one']): Promise<void> {
  expect(await setting('IMAGE_TAG')).toBe(version);
  expect(await setting('TASK_EXECUTOR_IMAGE')).toBe(`docker-worker:${version}-dev`);
  expect(await running()).toEqual(services);
  const own = (await server.services())['one'];
  expect(own?.image).toBe(await imageId(`small-one:${version}-dev`));
}

async function inProduction(version: string): Promise<void> {
  expect(await setting('IMAGE_TAG')).toBe(version);
  expect(await setting('TASK_EXECUTOR_IMAGE')).toBe('');
  expect(await running()).toEqual(['one', 'two']);
  const references = await rig.must(['docker', 'ps', '--all', '--format', '{{.Image}}']);
  expect(references.split('\n').filter((each) => each.endsWith('-dev'))).toEqual([]);
}

/** Which image a task ran in, and the version that it was built for. */
async function taskRan(): Promise<unknown[]> {
  const { data } = await server.ok(['task', 'run', '--', 'sh', '-c', 'echo "$IMAGE_TAG"']);
  await rig.must(['docker', 'rm', '--force', `xingrin-task-${String(data['id'])}`]);
  return [data['image'], String(data['stdout']).trim()];
}

function imageId(reference: string): Promise<string> {
  return rig.must(['docker', 'image', 'inspect', '--format', '{{.Id}}', reference]);
}

function withoutId(container: string): string {
  return container.replace(/^(\S+) \S+/, '$1');
}

describe('development mode, in and out', () => {
  let first: string;

  test('dev up builds here and runs the development file; tasks run what was built', async () => {
    const { data } = await server.ok(['dev', 'up', '--yes']);
    expect(data).toMatchObject({ from: null, to: 'v1.2.0-dev', consistent: true, development: true });
    expect(data.steps?.map(({ kind, status }) => `${kind} ${status}`)).toEqual([
      'hold-stack done',
      'build-images done',
      'write-env done',
      'switch-service done',
      'switch-service done',
      'check-health done',
    ]);
    await inDevelopment('v1.2.0');
    expect(await taskRan()).toEqual(['docker-worker:v1.2.0-dev', 'v1.2.0-dev']);
    first = await readFile(server.env, 'utf8');
    const before = await server.snapshot();
    const again = await server.ok(['dev', '--yes']);
    expect(again.data.steps?.map(({ kind, status }) => `${kind} ${status}`)).toEqual([
      'hold-stack done',
      'build-images unchanged',
      'switch-service unchanged',
      'switch-service unchanged',
      'check-health done',
    ]);
    expect(await server.snapshot()).toEqual(before);
  });

  test('install leaves it, install --dev comes back: docker/.env is byte for byte what it was', async () => {
    const { data } = await server.ok(['install', '--yes']);
    expect(data).toMatchObject({ from: 'v1.2.0-dev', to: 'v1.2.0', development: false });
    await inProduction('v1.2.0');
    // Releases of this test that bring nothing new are the images of v1.1.0.
    expect(await taskRan()).toEqual([product.reference('worker', 'v1.2.0'), 'v1.1.0']);
    const production = await readFile(server.env, 'utf8');
    expect(production).toBe(first.replace('docker-worker:v1.2.0-dev', ''));
    await server.ok(['install', '--dev', '--yes']);
    await inDevelopment('v1.2.0');
    expect(await readFile(server.env, 'utf8')).toBe(first);
    // Only what production deployed can be gone back to.
    const { data: told } = await server.ok(['history']);
    expect((told['deployments'] as unknown[]).length).toBe(1);
    await server.ok(['start', '--yes']);
    await inProduction('v1.2.0');
    expect(await readFile(server.env, 'utf8')).toBe(production);
  });

  test('start --dev builds nothing that is here; --no-frontend leaves it out; restart stays in the mode', async () => {
    const { data } = await server.ok(['start', '--dev', '--no-frontend', '--yes']);
    expect(data.steps?.map(({ kind }) => kind)).not.toContain('build-images');
    await inDevelopment('v1.2.0', ['one']);
    expect(data).toMatchObject({ consistent: true, leftOut: ['frontend'] });
    await server.ok(['stop', '--yes']);
    await server.ok(['restart', '--no-frontend', '--yes']);
    await inDevelopment('v1.2.0', ['one']);
    await server.ok(['start', '--dev', '--yes']);
    await inDevelopment('v1.2.0');
  });

  test('update leaves it; update --dev brings the files of the release and builds them', async () => {
    await server.ok(['update', 'v1.3.0', '--yes']);
    await inProduction('v1.3.0');
    await server.ok(['rollback', '--yes']);
    await inProduction('v1.2.0');
    const { data } = await server.ok(['update', '--dev', '--yes']);
    expect(data).toMatchObject({ from: 'v1.2.0', to: 'v1.3.0-dev' });
    expect(await readFile(join(server.root, 'VERSION'), 'utf8')).toBe('v1.3.0\n');
    await inDevelopment('v1.3.0');
  });

  test('a build that fails, and one that does not get well, leave everything as it was', async () => {
    const before = await server.snapshot();
    const image = await imageId('small-one:v1.3.0-dev');
    const dockerfile = join(server.root, 'docker/frontend/Dockerfile');
    const text = await readFile(dockerfile, 'utf8');
    await writeFile(dockerfile, `${text}RUN echo broken on purpose && false\n`);
    const refused = await server.json(['dev', 'up', '--yes']);
    expect(refused).toMatchObject({ exitCode: 1, error: { code: 'FAILED' } });
    expect(refused.error?.evidence).toContain('broken on purpose');
    await writeFile(dockerfile, text);
    expect(await server.snapshot()).toEqual(before);
    await writeFile(dockerfile, `${text}CMD ["false"]\n`);
    const sick = await server.json(['dev', 'up', '--yes']);
    expect(sick).toMatchObject({ exitCode: 7, error: { code: 'UNHEALTHY' } });
    await writeFile(dockerfile, text);
    expect(await imageId('small-one:v1.3.0-dev')).toBe(image);
    // Their containers are new ones, made from the same images.
    const after = await server.snapshot();
    expect({ ...after, containers: after.containers.map(withoutId) }).toEqual({
      ...before,
      containers: before.containers.map(withoutId),
    });
  });

  test('killed on the way in or out, it is one of the two afterwards', async () => {
    let killed = 0;
    for (const [args, step] of [
      [['start', '--yes'], 14],
      [['start', '--dev', '--yes'], 14],
    ] as const) {
      for (let when = 9; (await killedAtWrite(rig, server, args, when)) !== null; when += step) {
        killed += 1;
        await server.ok(['recover']);
        const executor = await setting('TASK_EXECUTOR_IMAGE');
        if (executor === '') expect(await running()).toEqual(['one', 'two']);
        else expect(await running()).not.toContain('two');
        expect(await journalIsClosed(server)).toBe(true);
      }
    }
    expect(killed).toBeGreaterThan(1);
    await inDevelopment('v1.3.0');
  });

  test('dev up --watch rebuilds as the sources change, until Ctrl-C', async () => {
    const page = join(server.root, 'docker/frontend/www/index.html');
    const text = await readFile(page, 'utf8');
    const watching = execa(process.execPath, [ENTRY, '-C', server.root, 'dev', 'up', '--watch', '--yes'], {
      reject: false,
      extendEnv: false,
      env: rig.env,
      stdin: 'ignore',
    });
    let said = '';
    watching.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until('Compose to watch', () => /watching; Ctrl-C[^]*watch/i.test(said));
    await writeFile(page, `${text}<!-- changed while it runs -->\n`);
    // While one container takes the place of the other there are two, or none.
    await until('the new page', async () => {
      const argv = ['compose', '--file', devFile, 'exec', '--no-TTY', 'one', 'cat', '/srv/www/index.html'];
      return (await rig.docker(argv)).stdout.includes('changed while it runs');
    });
    watching.kill('SIGINT');
    expect((await watching).exitCode).toBe(130);
    await writeFile(page, text);
    expect(await running()).toEqual(['frontend', 'one']);
  });

  test('dev down removes what ran and clears the mode; production starts from what is left', async () => {
    const { data } = await server.ok(['dev', 'down', '--yes']);
    expect(data).toMatchObject({ from: 'v1.3.0-dev', to: null });
    expect(await running()).toEqual([]);
    expect((await server.ok(['dev', 'down', '--yes'])).data.steps).toEqual([]);
    await server.ok(['start', '--yes']);
    await inProduction('v1.3.0');
    // Left by somebody else: the stack that runs is not of this mode, and stays.
    const env = await readFile(server.env, 'utf8');
    await writeFile(server.env, env.replace('TASK_EXECUTOR_IMAGE=', 'TASK_EXECUTOR_IMAGE=docker-worker:v1.0.0-dev'));
    await server.ok(['dev', 'down', '--yes']);
    await inProduction('v1.3.0');
    expect(await readFile(server.env, 'utf8')).toBe(env);
  });

  test('a worker that the file has as a service is built and not run; a file that cannot be is refused', async () => {
    await writeFile(devFile, `${DEVELOPMENT}${WORKER}`);
    await rig.must(['docker', 'rmi', '--force', 'docker-worker:v1.3.0-dev']);
    const { data } = await server.ok(['dev', 'build', '--yes']);
    expect((data['images'] as string[]).toSorted()).toEqual([
      'docker-worker:v1.3.0-dev',
      'small-frontend:v1.3.0-dev',
      'small-one:v1.3.0-dev',
    ]);
    await inProduction('v1.3.0');
    await server.ok(['dev', 'up', '--yes']);
    await inDevelopment('v1.3.0');
    // Compose built what this task runs; it is no part of the stack for that.
    await server.ok(['task', 'run', '--detach', '--id', 'long', '--', 'sleep', '600']);
    const stopping = await server.ok(['stop', '--dry-run']);
    expect(stopping.data.steps?.map(({ title }) => title)).toContain('stop frontend, one');
    await server.ok(['dev', 'down', '--yes']);
    const { tasks } = (await server.ok(['task', 'list'])).data;
    expect(tasks).toContainEqual(expect.objectContaining({ id: 'long', state: 'running' }));
    await server.ok(['task', 'stop', 'long']);
    await rig.must(['docker', 'rm', '--force', 'xingrin-task-long']);
    await server.ok(['start', '--yes']);

    const before = await server.snapshot();
    await writeFile(devFile, DEVELOPMENT.replace('name: small', 'name: other'));
    expect(await server.json(['dev', 'up', '--yes'])).toMatchObject({ exitCode: 6, error: { code: 'PRECONDITION' } });
    await rm(devFile);
    const missing = await server.json(['start', '--dev', '--yes']);
    expect(missing).toMatchObject({ exitCode: 6, error: { code: 'PRECONDITION' } });
    await writeFile(devFile, `${DEVELOPMENT}${WORKER}`);
    expect(await server.snapshot()).toEqual(before);
  });
});
