import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startRegistry } from '../../src/sandbox/registry.ts';
import { openHost, type Host } from './hosts.ts';
import { serverAt, type Document, type Server } from './product.ts';
import { openRig, type Outcome, type Rig } from './rig.ts';

const PASSWORD = 'very-secret-1';
const LOGIN = 'robot:$2b$04$N7F2Jq7AdCulQxZicjkBKel1jTgwWZmy.F8fajwjkAMB.4Ft/gY9C';
/** What must never be seen: the password, and what Docker keeps of it. */
const SECRETS = [PASSWORD, Buffer.from(`robot:${PASSWORD}`).toString('base64')];

let rig: Rig;
let registry: string;
let server: Server;
let w1: Host;
/** Homes of somebody who is logged in and of somebody who is not. */
let known: string;
let stranger: string;

beforeAll(async () => {
  rig = await openRig();
  const started = await startRegistry(rig.sandbox.network, { port: 5001, login: LOGIN });
  registry = started.address;
  w1 = await openHost(rig, 'w1');
  known = rig.env['HOME'] ?? '';
  stranger = join(rig.folder, 'stranger');
  await mkdir(stranger);
  await rig.must(['cp', join(known, '.gitconfig'), stranger]);
  const remote = await rig.bareRepository('remote');
  const root = join(rig.folder, 'shop');
  await rig.must([process.execPath, join(import.meta.dirname, '../../bin/xingrin.js'), 'init', root]);
  const example = await rig.must(['cat', join(root, 'docker/.env.example')]);
  await writeFile(
    join(root, 'docker/.env.example'),
    `${example.replace('PUBLIC_HOST=localhost', `PUBLIC_HOST=${rig.engine.address}`).replace(/^DOCKER_USER=.*$/m, '')}\nDOCKER_USER=${registry}/team\n`,
  );
  server = serverAt(rig, root);
  await server.git('init', '--quiet', '--initial-branch=main');
  await server.git('add', '--all');
  await server.git('commit', '--quiet', '--message', 'start');
  await server.git('remote', 'add', 'origin', remote);
  await server.git('push', '--quiet', '--set-upstream', 'origin', 'main');
});
afterAll(() => rig?.close());

async function as(home: string, args: readonly string[]): Promise<{ document: Document; outcome: Outcome }> {
  const env = { HOME: home, DOCKER_USER: `${registry}/team` };
  const outcome = await server.run(['--json', '--progress', 'json', ...args], { env });
  for (const secret of SECRETS) expect(outcome.stdout + outcome.stderr).not.toContain(secret);
  return { document: JSON.parse(outcome.stdout) as Document, outcome };
}

function logIn(): Promise<string> {
  return rig.must(['docker', 'login', '--username', 'robot', '--password-stdin', registry], { input: PASSWORD });
}

test('publish wants the login before it builds, and pushes with it', async () => {
  await server.ok(['release', 'v1.2.0', '--yes']);
  const { document: refused } = await as(known, ['publish', 'v1.2.0', '--yes']);
  expect(refused).toMatchObject({ ok: false, exitCode: 4 });
  expect(refused.error?.hint).toContain(`docker login ${registry}`);
  await logIn();
  const { document } = await as(known, ['publish', 'v1.2.0', '--yes']);
  expect(document).toMatchObject({ ok: true, data: { to: 'v1.2.0' } });
});

test('install says who has to log in, and then pulls with that login, telling bytes', async () => {
  // Built here: another main server has none of it.
  for (const what of ['image', 'builder']) await rig.must(['docker', what, 'prune', '--all', '--force']);
  const { document: refused } = await as(stranger, ['install', '--yes']);
  expect(refused).toMatchObject({ exitCode: 6, error: { code: 'IMAGE_MISSING' } });
  expect(refused.error?.hint).toContain(`docker login ${registry}`);
  expect(await server.services()).toEqual({});
  const { document, outcome } = await as(known, ['install', '--yes']);
  expect(document).toMatchObject({ ok: true, data: { consistent: true } });
  const told = outcome.stderr
    .split('\n')
    .filter((line) => line.includes('"progress"') && line.includes('"pull-image"'))
    .map((line) => (JSON.parse(line) as { progress: { done: number; total?: number; unit: string } }).progress);
  expect(new Set(told.map(({ unit }) => unit))).toEqual(new Set(['bytes']));
  expect(told.some(({ done, total }) => done > 0 && done === total)).toBe(true);
});

test('a worker that is not logged in is told so by its name; logged in it joins', async () => {
  const add = ['worker', 'add', w1.destination, '--identity', w1.identity, '--name', 'w1', '--yes'];
  const { document: refused } = await as(known, add);
  expect(refused).toMatchObject({ ok: false, exitCode: 6 });
  expect(refused.error?.message).toContain('w1');
  expect(refused.error?.hint).toContain(`docker login ${registry}`);
  await w1.must(['docker', 'login', '--username', 'robot', '--password-stdin', registry], { input: PASSWORD });
  const { document } = await as(known, add);
  expect(document).toMatchObject({ ok: true });
});

test('doctor tells who is not logged in', async () => {
  const { document: well } = await as(known, ['doctor']);
  expect(well).toMatchObject({ ok: true });
  const { document: not } = await as(stranger, ['doctor']);
  const codes = (not.data['findings'] as { code: string; mend: string }[]).map(({ code }) => code);
  expect(codes).toContain('LOGIN_MISSING');
});
