import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.ts';
import { makeCertificate } from '../../src/effects/certificate-maker.ts';
import { openRig, type Rig } from './rig.ts';

const TOKEN = createHmac('sha256', 'secret').update('worker:5').digest('hex');
/** The least that nginx can have behind it: counts the heartbeats that arrive with the right token. */
const UPSTREAM = `
let beats = 0;
require('http').createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += chunk));
  request.on('end', () => {
    if (request.method === 'GET') return response.end(String(beats));
    const known = request.headers.authorization === 'Bearer ' + process.env.TOKEN;
    if (known && JSON.parse(body).version === 'v1.2.3') beats += 1;
    response.writeHead(known ? 200 : 401).end('{"status":"ok","need_update":false,"server_version":"v1.2.3"}');
  });
}).listen(8888);`;

let rig: Rig;
let folder: string;
beforeAll(async () => {
  rig = await openRig(['alpine:3.20', 'node:20-alpine', 'nginx:1.27-alpine']);
  folder = await mkdtemp(join(rig.folder, 'product-'));
  const initialized = await rig.xingrin(['init', folder]);
  expect(initialized.exitCode).toBe(0);
  for (const image of ['agent', 'nginx']) {
    const file = ['--file', `docker/${image}/Dockerfile`, '--build-arg', 'IMAGE_TAG=v1.2.3'];
    await rig.must(['docker', 'build', '--quiet', ...file, '--tag', image, '.'], {
      cwd: folder,
      env: { DOCKER_BUILDKIT: '0' },
    });
  }
  await makeCertificate(join(folder, 'docker/nginx/ssl'), join(folder, '.xingrin/keys'), [rig.engine.address]);
  await rig.must(['docker', 'network', 'create', 'inside']);
  const upstream = ['--network', 'inside', '--network-alias', 'server', '--env', `TOKEN=${TOKEN}`];
  await rig.must([
    'docker',
    'run',
    '--detach',
    '--name',
    'server',
    ...upstream,
    'node:20-alpine',
    'node',
    '-e',
    UPSTREAM,
  ]);
  const ssl = `${join(folder, 'docker/nginx/ssl')}:/etc/nginx/ssl:ro`;
  const door = ['--network', 'inside', '--publish', '8083:8083', '--volume', ssl, '--tmpfs', '/tmp'];
  await rig.must(['docker', 'run', '--detach', '--name', 'nginx', ...door, 'nginx']);
});
afterAll(() => rig.close());

/** As workers start it, with no more than ten megabytes for everything that runs in it, the page cache included. */
async function start(name: string, authority: string, url = `https://${rig.engine.address}:8083`): Promise<void> {
  const file = join(rig.folder, name);
  await writeFile(file, `SERVER_URL=${url}\nWORKER_ID=5\nAGENT_TOKEN=${TOKEN}\n`, { mode: 0o600 });
  const limits = ['--memory', '10m', '--memory-swap', '10m', '--read-only', '--cap-drop', 'ALL', '--tmpfs', '/tmp'];
  const what = ['--volume', '/proc:/host/proc:ro', '--env-file', file, '--env', 'SERVER_CA'];
  await rig.must(['docker', 'run', '--detach', '--name', name, ...limits, ...what, 'agent'], {
    env: { SERVER_CA: authority },
  });
  await rm(file);
}

const health = (name: string): Promise<string> =>
  rig.must(['docker', 'inspect', '--format', '{{.State.Health.Status}}', name]);

test('beats through the front door within ten megabytes, and is healthy only while the server hears it', async () => {
  await start('agent', await readFile(join(folder, 'docker/nginx/ssl/ca.pem'), 'utf8'));
  await until('the agent to be healthy', async () => (await health('agent')) === 'healthy');
  const beats = async (): Promise<number> =>
    Number(await rig.must(['docker', 'exec', 'server', 'wget', '-qO-', 'http://127.0.0.1:8888/']));
  // The limit is in force; a busy engine tells nothing at first.
  const usage = ['docker', 'stats', '--no-stream', '--format', '{{.MemUsage}}', 'agent'];
  await until('ten megabytes', async () => (await rig.must(usage)).endsWith(' / 10MiB'));
  const before = await beats();
  expect(before).toBeGreaterThan(0);
  await until('five more heartbeats', async () => (await beats()) >= before + 5);
  const state = JSON.parse(await rig.must(['docker', 'inspect', '--format', '{{json .}}', 'agent'])) as {
    RestartCount: number;
    State: { OOMKilled: boolean };
  };
  expect(state).toMatchObject({ RestartCount: 0, State: { OOMKilled: false } });
  await rig.must(['docker', 'stop', '--time', '0', 'nginx']);
  await until('the agent to be unhealthy', async () => (await health('agent')) === 'unhealthy');
  await rig.must(['docker', 'start', 'nginx']);
  await until('the agent to be healthy again', async () => (await health('agent')) === 'healthy');
  await rig.must(['docker', 'stop', '--time', '30', 'agent']);
  expect(await rig.must(['docker', 'inspect', '--format', '{{.State.ExitCode}}', 'agent'])).toBe('0');
});

test('does not believe a front door of another authority', async () => {
  const elsewhere = join(rig.folder, 'elsewhere');
  await makeCertificate(elsewhere, join(elsewhere, 'keys'), [rig.engine.address]);
  await start('stranger', await readFile(join(elsewhere, 'ca.pem'), 'utf8'));
  const logs = async (): Promise<string> => (await rig.docker(['logs', 'stranger'])).stderr;
  await until('a refusal', async () => (await logs()).includes('curl: (60)'));
  await until('the agent to be unhealthy', async () => (await health('stranger')) === 'unhealthy');
});

test('is an image of at most ten megabytes, as a registry would hold it', async () => {
  const archive = join(rig.folder, 'agent.tar');
  await rig.must(['docker', 'save', '--output', archive, 'agent']);
  const { stdout } = await execa('gzip', ['--stdout', archive], { encoding: 'buffer' });
  expect(stdout.length).toBeLessThan(10_000_000);
});
