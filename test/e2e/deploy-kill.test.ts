import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { envValue, parseEnvFile } from '../../src/domain/env-file.ts';
import { journalIsClosed, killedAtWrite } from './kill.ts';
import { makeProduct, SMALL_STACK, type Product, type Server } from './product.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let product: Product;
let server: Server;

beforeAll(async () => {
  rig = await openRig();
  product = await makeProduct(rig, { files: SMALL_STACK });
  server = await product.checkout('server');
  await server.git('reset', '--quiet', '--hard', 'HEAD~2');
});
afterAll(() => rig?.close());

/** IMAGE_TAG and the secret, from a docker/.env that must be whole whenever it is read; null without one. */
async function settings(): Promise<{ tag: string | undefined; secret: string | undefined } | null> {
  const text = await readFile(server.env, 'utf8').catch(() => null);
  if (text === null) return null;
  const env = parseEnvFile(text, server.env);
  expect(text.endsWith('\n')).toBe(true);
  return { tag: envValue(env, 'IMAGE_TAG'), secret: envValue(env, 'AGENT_TOKEN') };
}

/** Everything that names a version: VERSION, IMAGE_TAG, the commit's tag and what each service runs. */
async function versions(): Promise<string[]> {
  const { data, exitCode } = await server.json(['status']);
  expect(exitCode).toBe(0);
  const services = data['services'] as { image: string; state: string }[];
  return [
    String(data['version']),
    String(data['imageTag']),
    ...services.map(({ image, state }) => (state === 'running' ? (image.split(':').at(-1) ?? '') : state)),
  ];
}

interface Kill {
  readonly when: number;
  readonly said: string;
}

/**
 * Kills a command at every second moment at which something reaches the disk, and lets the next command recover: each step of the plan
 * writes when it starts and when it is done, so every step is met. Ends when the command did.
 */
async function killEverywhere(args: readonly string[], check: (kill: Kill) => Promise<void>): Promise<number> {
  for (let when = 1, kills = 0; ; when += 2, kills += 1) {
    const killed = await killedAtWrite(rig, server, [...args, '--yes'], when);
    await settings();
    if (killed === null) return kills;
    // A command that only looks says so and leaves it. The lock of a dead process blocks nobody.
    const open = !(await journalIsClosed(server));
    const looked = await server.run(['history']);
    expect([when, looked.exitCode, /was interrupted/.test(looked.stderr)]).toEqual([when, 0, open]);
    expect(await journalIsClosed(server)).toBe(!open);
    const next = await server.run(['recover']);
    expect([when, next.exitCode, next.stderr]).toEqual([when, 0, next.stderr]);
    expect(await journalIsClosed(server)).toBe(true);
    expect(await server.git('status', '--porcelain')).toBe('');
    await check({ when, said: next.stderr });
  }
}

test('install, killed at each of its steps: taken back, with the secrets that were made', async () => {
  let secret: string | undefined;
  let undone = 0;
  await killEverywhere(['install'], async ({ said }) => {
    const found = await settings();
    if (found?.secret !== undefined && found.secret !== '') secret ??= found.secret;
    expect(found?.secret || undefined).toBe(secret);
    const running = Object.keys(await server.services());
    if (/going back/.test(said)) {
      undone += 1;
      expect(running).toEqual([]);
    }
    if (/finishing it/.test(said)) expect(running.length).toBe(2);
    // Killed after its end: back to a machine without a stack, but with its settings.
    if (running.length > 0) await server.ok(['uninstall', '--yes']);
  });
  expect(undone).toBeGreaterThan(5);
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect((await settings())?.secret).toBe(secret);
  expect(await versions()).toEqual(['v1.0.0', 'v1.0.0', 'v1.0.0', 'v1.0.0']);
});

test.each([
  { command: 'update', from: 'v1.0.0', to: 'v1.1.0', back: 'rollback' },
  { command: 'rollback', from: 'v1.1.0', to: 'v1.0.0', back: 'update' },
])('$command, killed at each of its steps: the new version or the old one', async ({ command, from, to, back }) => {
  const before = await settings();
  const ends = new Set<string>();
  const kills = await killEverywhere([command], async ({ said }) => {
    const found = await versions();
    expect(new Set(found).size).toBe(1);
    expect((await settings())?.secret).toBe(before?.secret);
    expect([from, to]).toContain(found[0]);
    if (/was interrupted/.test(said)) {
      const finished = /finishing it/.test(said);
      ends.add(finished ? 'finished' : 'undone');
      expect(found[0]).toBe(finished ? to : from);
    }
    // Killed after its end: once more from the start.
    if (found[0] === to) await server.ok([back, '--yes']);
  });
  expect(kills).toBeGreaterThan(8);
  expect(ends).toContain('undone');
  expect(await versions()).toEqual(Array.from({ length: 4 }, () => to));
  expect(await readFile(join(server.root, 'VERSION'), 'utf8')).toBe(`${to}\n`);
});
