import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { placeOf } from '../../../src/observe/ssh-place.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'xingrin-home-'));
  vi.stubEnv('HOME', home);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true, force: true });
});

async function write(path: string, text: string): Promise<string> {
  const whole = join(home, '.ssh', path);
  await mkdir(dirname(whole), { recursive: true });
  await writeFile(whole, text);
  return whole;
}
const key = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();

test('without a file there is what was typed, and the usual rest', () => {
  expect(placeOf('10.0.0.1', null, undefined)).toEqual({
    host: '10.0.0.1',
    port: 22,
    user: 'root',
    identity: null,
    hostKey: null,
    jumps: [],
  });
});

test('a name is looked up: host, user, port, the first key that is one, included files too', async () => {
  const identity = await write('keys/eu', key());
  await write(
    'hosts.d/eu.conf',
    'Host eu-*\n  Port 2222\n  IdentityFile ~/.ssh/keys/missing\n  IdentityFile ~/.ssh/keys/eu\n',
  );
  await write('config', 'Include hosts.d/*.conf\nHost eu-1\n  HostName=10.1.1.1\n  User "ops"\n  Port 1\n');
  expect(placeOf('eu-1', null, undefined)).toMatchObject({ host: '10.1.1.1', port: 2222, user: 'ops', identity });
  // What was typed counts more.
  expect(placeOf('me@eu-1:99', '/k', undefined)).toMatchObject({
    host: '10.1.1.1',
    port: 99,
    user: 'me',
    identity: '/k',
  });
  expect(placeOf('eu-2', null, undefined)).toMatchObject({ host: 'eu-2', port: 2222, user: 'root' });
});

test('the way there, and the way to that', async () => {
  await write(
    'config',
    [
      'Host inner\n  HostName 10.2.2.2\n  ProxyJump middle',
      'Host middle\n  HostName 10.2.2.1\n  User m\n  ProxyJump ops@outer:2022',
      'Host outer\n  HostName 192.0.2.1',
    ].join('\n'),
  );
  const { jumps } = placeOf('inner', null, undefined);
  expect(jumps.map(({ user, host, port }) => `${user}@${host}:${port}`)).toEqual([
    'ops@192.0.2.1:2022',
    'm@10.2.2.1:22',
  ]);
  expect(placeOf('inner', null, 'none').jumps).toEqual([]);
  expect(placeOf('inner', null, 'outer').jumps).toMatchObject([{ host: '192.0.2.1', user: 'root' }]);
});

test.for([
  ['Host a\n ProxyJump b\nHost b\n ProxyJump a', /circle/],
  ['Host a\n ProxyCommand nc %h %p', /ProxyCommand/],
  ['Host a\n HostName -oProxyCommand=id', /names no host/],
  ['Host a\n Port 70000', /port/],
  ['Host a\n User -l', /user/],
] as const)('%s: exit 2', async ([text, reason]) => {
  await write('config', text);
  expect(() => placeOf('a', null, undefined)).toThrow(expect.objectContaining({ exitCode: 2 }) as Error);
  expect(() => placeOf('a', null, undefined)).toThrow(reason);
});
