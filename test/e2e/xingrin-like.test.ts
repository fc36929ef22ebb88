import { readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openXingrinLike, type XingrinLike } from './xingrin-like.ts';

let product: XingrinLike;
beforeAll(async () => {
  product = await openXingrinLike();
  await product.release('v1.0.0');
});
afterAll(() => product?.rig.close());

interface Answer {
  readonly exitCode: number;
  readonly data: {
    readonly from: string;
    readonly to: string;
    readonly consistent: boolean;
    readonly imageTag: string;
    readonly services: readonly { readonly service: string; readonly image: string; readonly state: string }[];
    readonly steps: readonly { readonly kind: string; readonly title: string; readonly status: string }[];
  };
  readonly warnings: readonly string[];
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly evidence?: string;
  };
}

/** A command with --json and --yes: its document. */
async function run(checkout: string, ...args: string[]): Promise<Answer> {
  const { stdout, stderr } = await product.xingrin(checkout, [...args, '--json', '--yes']);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Answer;
}

/** The same, for what has to succeed. */
async function done(checkout: string, ...args: string[]): Promise<Answer['data']> {
  const { exitCode, error, data } = await run(checkout, ...args);
  expect({ exitCode, error }).toEqual({ exitCode: 0, error: undefined });
  return data;
}

const envOf = (checkout: string): Promise<string> => readFile(join(checkout, 'docker', '.env'), 'utf8');

/** SQL through the server's own connection: compose network, DB_PASSWORD and all. */
const sql = (query: string): Promise<string> =>
  product.rig.must(['docker', 'exec', 'docker-server-1', '/app/query', query]);

/** What the front door says, verified with the stack's own authority. */
async function frontDoor(checkout: string, path: string): Promise<string> {
  const ca = await readFile(join(checkout, 'docker', 'nginx', 'ssl', 'ca.pem'));
  return new Promise((resolve, reject) => {
    const asked = request({ host: product.rig.engine.address, port: 8083, path, ca, servername: 'localhost' });
    asked.once('error', reject);
    asked.once('response', (response) => {
      let text = `${response.statusCode} `;
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.once('end', () => resolve(text.trim()));
    });
    asked.end();
  });
}

/** By service: the container's id. */
async function containers(): Promise<Record<string, string>> {
  const format = '{{.Label "com.docker.compose.service"}} {{.ID}}';
  const lines = (await product.rig.must(['docker', 'ps', '--no-trunc', '--format', format])).split('\n');
  return Object.fromEntries(lines.filter((line) => line !== '').map((line) => line.split(' ') as [string, string]));
}

async function expectAllOn(checkout: string, version: string): Promise<void> {
  const data = await done(checkout, 'status');
  expect(data).toMatchObject({ consistent: true, version, imageTag: version });
  const released = data.services.filter(({ image }) => image.startsWith('yyhuni/'));
  expect(released.map(({ image }) => image)).toEqual(
    ['agent', 'frontend', 'nginx', 'server'].map((name) => `yyhuni/xingrin-${name}:${version}`),
  );
  expect(await frontDoor(checkout, '/api/')).toBe(`200 ${version}`);
  expect(await frontDoor(checkout, '/')).toBe(`200 pages of ${version}`);
}

const ROW = "SELECT name FROM findings WHERE name = 'kept'";

describe('a checkout laid out like XingRin', () => {
  let checkout: string;
  beforeAll(async () => {
    checkout = await product.clone('main-server');
  });

  test('installs as it stands: secrets, database, volume and names as XingRin has them', async () => {
    expect(await done(checkout, 'install')).toMatchObject({ from: null, to: 'v1.0.0' });
    await expectAllOn(checkout, 'v1.0.0');
    const env = await envOf(checkout);
    expect((await stat(join(checkout, 'docker', '.env'))).mode & 0o777).toBe(0o600);
    expect(env).toMatch(/^DB_PASSWORD=[0-9a-f]{64}$/m);
    expect(env).toMatch(/^DJANGO_SECRET_KEY=[0-9a-f]{64}$/m);
    expect(env).not.toContain('__WILL_BE_SET_BY_INSTALLER__');
    const names = await product.rig.must(['docker', 'ps', '--format', '{{.Names}}']);
    expect(names.split('\n').sort()).toEqual(
      ['docker-frontend-1', 'docker-nginx-1', 'docker-postgres-1', 'docker-redis-1', 'docker-server-1'].concat(
        'xingrin-agent',
      ),
    );
    expect(await product.rig.must(['docker', 'volume', 'ls', '--quiet'])).toContain('docker_postgres_data');
    expect(await product.rig.must(['docker', 'network', 'ls', '--format', '{{.Name}}'])).toContain('xingrin_network');
    const worker = await product.rig.docker(['image', 'inspect', 'yyhuni/xingrin-worker:v1.0.0']);
    expect(worker.exitCode).toBe(0);
    expect(await product.rig.must(['git', '-C', checkout, 'status', '--porcelain'])).toBe('');
  });

  test('a second install keeps every secret and every edit, and the database still lets the server in', async () => {
    const edited = `# mine\nEXTRA='a # b'\n${await envOf(checkout)}`;
    await writeFile(join(checkout, 'docker', '.env'), edited);
    await sql("INSERT INTO findings VALUES ('kept')");
    const again = await done(checkout, 'install');
    expect(await envOf(checkout)).toBe(edited);
    expect(await sql(ROW)).toBe('kept');
    expect(again.steps.map(({ kind }) => kind)).not.toContain('write-env');
    expect((await done(checkout, 'install')).steps).toEqual([]);
  });

  test('update recreates only what the release consists of, and keeps the data', async () => {
    await product.release('v1.1.0');
    const before = await containers();
    expect(await done(checkout, 'update')).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
    const after = await containers();
    expect(Object.keys(after).filter((service) => after[service] === before[service])).toEqual(
      expect.arrayContaining(['postgres', 'redis']),
    );
    for (const service of ['server', 'agent', 'frontend', 'nginx']) expect(after[service]).not.toBe(before[service]);
    await expectAllOn(checkout, 'v1.1.0');
    expect(await sql(ROW)).toBe('kept');
  });

  test('rollback, stop and start need neither registry nor remote, and keep the data', async () => {
    const { registry } = product.rig.sandbox;
    await product.rig.must(['git', '-C', checkout, 'remote', 'set-url', 'origin', '/nowhere']);
    await registry.down();
    try {
      expect(await done(checkout, 'rollback')).toMatchObject({ from: 'v1.1.0', to: 'v1.0.0' });
      await expectAllOn(checkout, 'v1.0.0');
      await done(checkout, 'stop');
      expect(await containers()).toEqual({});
      await done(checkout, 'start');
    } finally {
      await registry.up();
      await product.rig.must(['git', '-C', checkout, 'remote', 'set-url', 'origin', product.remote]);
    }
    await expectAllOn(checkout, 'v1.0.0');
    expect(await sql(ROW)).toBe('kept');
  });

  test('a migration that fails brings everything back, and says why', async () => {
    await product.release('v1.2.0', { migration: 'fails' });
    const [env, head] = [await envOf(checkout), await product.rig.must(['git', '-C', checkout, 'rev-parse', 'HEAD'])];
    const before = await containers();
    const failed = await run(checkout, 'update');
    expect(failed).toMatchObject({ exitCode: 7, error: { code: 'UNHEALTHY' } });
    expect(failed.error?.evidence).toContain('column "colour" does not exist');
    expect(await envOf(checkout)).toBe(env);
    expect(await product.rig.must(['git', '-C', checkout, 'rev-parse', 'HEAD'])).toBe(head);
    await expectAllOn(checkout, 'v1.0.0');
    const after = await containers();
    expect([after['postgres'], after['redis']]).toEqual([before['postgres'], before['redis']]);
    expect(await sql(ROW)).toBe('kept');
  });

  test('uninstall keeps the data for the next install; only --purge with the name deletes it', async () => {
    await done(checkout, 'uninstall');
    expect(await product.rig.must(['docker', 'ps', '--all', '--quiet'])).toBe('');
    await done(checkout, 'install');
    expect(await sql(ROW)).toBe('kept');
    for (const args of [[], ['--confirm', 'other']]) {
      const refused = await run(checkout, 'uninstall', '--purge', ...args);
      expect(refused).toMatchObject({ exitCode: 2, error: { hint: 'xingrin uninstall --purge --confirm docker' } });
    }
    expect(await sql(ROW)).toBe('kept');
    await done(checkout, 'uninstall', '--purge', '--confirm', 'docker');
    expect(await product.rig.must(['docker', 'volume', 'ls', '--quiet'])).not.toContain('docker_postgres_data');
    expect(await envOf(checkout)).toContain('DB_PASSWORD=');
  });
});
