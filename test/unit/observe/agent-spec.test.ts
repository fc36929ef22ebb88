import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentToken } from '../../../src/effects/agent-token.ts';
import { makeCertificate } from '../../../src/effects/certificate-maker.ts';
import { agentSpecFor } from '../../../src/observe/agent-spec.ts';
import { openProject, type Project } from '../../../src/observe/project.ts';
import { readInstalled } from '../../../src/observe/worker-images.ts';

let folder: string;
let project: Project;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-spec-'));
  await mkdir(join(folder, 'docker'));
  await writeFile(join(folder, 'docker/docker-compose.yml'), 'name: shop\nservices: {}\n');
  project = await openProject(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const env = (...lines: string[]): Promise<void> => writeFile(join(folder, 'docker/.env'), `${lines.join('\n')}\n`);

test('an agent is told where the server is, who vouches for it, and a token of its own', async () => {
  await env(
    'IMAGE_TAG=v1.2.0',
    'DOCKER_USER=reg.example/team',
    'PUBLIC_HOST=10.1.1.1',
    'PUBLIC_PORT=9443',
    'AGENT_TOKEN=s',
  );
  const ssl = join(folder, 'docker/nginx/ssl');
  await makeCertificate(ssl, join(folder, 'vault'), ['10.1.1.1']);
  const spec = await agentSpecFor(project, { id: 7, name: '七号' }, 'v1.2.0');
  expect(spec).toMatchObject({
    image: 'reg.example/team/xingrin-agent:v1.2.0',
    project: 'shop',
    workerId: 7,
    environment: {
      SERVER_URL: 'https://10.1.1.1:9443',
      WORKER_ID: '7',
      WORKER_NAME: '七号',
      IS_LOCAL: 'false',
      AGENT_TOKEN: agentToken('s', 7),
    },
  });
  expect(spec.environment.SERVER_CA).toContain('BEGIN CERTIFICATE');
});

test('an address of xingrin.yaml comes first; our authority is passed on only where it vouches for that', async () => {
  await env('IMAGE_TAG=v1.2.0', 'PUBLIC_HOST=localhost', 'AGENT_TOKEN=s');
  await makeCertificate(join(folder, 'docker/nginx/ssl'), join(folder, 'vault'), ['scan.example.com']);
  const specFor = async (server: string) => {
    await writeFile(join(folder, 'xingrin.yaml'), `agent: {server: '${server}'}\n`);
    return (await agentSpecFor(await openProject(folder), { id: 2, name: 'w' }, 'v1.2.0')).environment;
  };
  const own = await specFor('https://scan.example.com:8443');
  expect(own.SERVER_URL).toBe('https://scan.example.com:8443');
  expect(own.SERVER_CA).toContain('BEGIN CERTIFICATE');
  const other = await specFor('https://elsewhere.example.com');
  expect(other.SERVER_URL).toBe('https://elsewhere.example.com');
  expect(other).not.toHaveProperty('SERVER_CA');
});

test('an address that only this machine understands is refused; an authority of others is not passed on', async () => {
  for (const host of ['', 'localhost', '127.0.0.1']) {
    await env('IMAGE_TAG=v1.2.0', `PUBLIC_HOST=${host}`);
    await expect(agentSpecFor(project, { id: 2, name: 'w' }, 'v1.2.0')).rejects.toMatchObject({ exitCode: 6 });
  }
  await env('IMAGE_TAG=v1.2.0', 'PUBLIC_HOST=fd00::1', 'AGENT_TOKEN=s');
  const { environment } = await agentSpecFor(project, { id: 2, name: 'w' }, 'v1.2.0');
  expect(environment.SERVER_URL).toBe('https://[fd00::1]:8083');
  expect(environment).not.toHaveProperty('SERVER_CA');
});

test('what workers should have: nothing before the installation, then the images with the digests of the lock', async () => {
  await expect(readInstalled(project)).rejects.toMatchObject({ code: 'PRECONDITION', exitCode: 6 });
  await env('IMAGE_TAG=v1.2.0', 'DOCKER_USER=team');
  const [digest, platform] = [`sha256:${'a'.repeat(64)}`, `sha256:${'b'.repeat(64)}`];
  const image = { repository: 'team', digest, platforms: { 'linux/arm64': platform } };
  const lock = {
    schema: 'xingrin-release/v1',
    version: 'v1.2.0',
    commit: 'c'.repeat(40),
    images: { 'xingrin-agent': image },
  };
  await mkdir(join(folder, 'releases'));
  await writeFile(join(folder, 'releases/v1.2.0.json'), JSON.stringify(lock));
  expect(await readInstalled(project)).toEqual({
    version: 'v1.2.0',
    platforms: ['linux/arm64'],
    images: [
      { reference: 'team/xingrin-worker:v1.2.0', digests: null },
      { reference: 'team/xingrin-agent:v1.2.0', digests: [digest, platform] },
    ],
  });
});
