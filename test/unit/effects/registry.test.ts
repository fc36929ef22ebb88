import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UserError } from '../../../src/domain/errors.ts';
import { makeCertificate } from '../../../src/effects/certificate-maker.ts';
import { realmOf } from '../../../src/effects/registry-login.ts';
import { Registry } from '../../../src/effects/registry.ts';
import { refusal } from '../refusal.ts';

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const PASSWORD = 'very-secret-2';

const CONFIG = JSON.stringify({ os: 'linux', architecture: 'amd64', config: { Labels: null } });
const SINGLE = JSON.stringify({ mediaType: MANIFEST, config: { digest: digestOf(CONFIG) }, layers: [] });
const MANY = JSON.stringify({
  manifests: [{ digest: digestOf(SINGLE), platform: { os: 'linux', architecture: 'amd64' } }],
});

let folder: string;
const servers: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-registry-'));
  process.env['DOCKER_CONFIG'] = folder;
});
afterEach(async () => {
  delete process.env['DOCKER_CONFIG'];
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  await rm(folder, { recursive: true, force: true });
});

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

async function listen(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
}

/** A registry that answers as it likes; what it is asked is kept. */
async function registryThat(
  answer: (path: string, request: IncomingMessage) => Answer,
  make: (listener: RequestListener) => Server = (listener) => createServer(listener),
): Promise<{ address: string; asked: { path: string; authorization: string | undefined }[] }> {
  const asked: { path: string; authorization: string | undefined }[] = [];
  const server = make((request, response) => {
    const path = request.url ?? '';
    asked.push({ path, authorization: request.headers.authorization });
    const { status = 200, headers = {}, body = '' } = answer(path, request);
    response.writeHead(status, headers).end(body);
  });
  return { address: await listen(server), asked };
}

/** Gives out one image, but for what is changed. */
function honest(path: string): Answer {
  if (path === '/v2/') return {};
  if (path.endsWith(`/manifests/${digestOf(SINGLE)}`)) return { headers: { 'content-type': MANIFEST }, body: SINGLE };
  if (path.endsWith(`/blobs/${digestOf(CONFIG)}`)) return { body: CONFIG };
  return {
    headers: { 'content-type': INDEX, 'docker-content-digest': digestOf(MANY) },
    body: MANY,
  };
}

async function logIn(registry: string): Promise<void> {
  const auth = Buffer.from(`robot:${PASSWORD}`).toString('base64');
  await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [registry]: { auth } } }));
}

async function refused(work: Promise<unknown>): Promise<UserError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.message + String(error.details.evidence) + String(error.details.hint?.en)).not.toContain(PASSWORD);
  return error;
}

function imageAt(address: string, reference = 'v1.0.0'): Promise<unknown> {
  return new Registry().image({ registry: address, path: 'team/one' }, reference);
}

test('an honest registry is believed', async () => {
  const { address } = await registryThat(honest);
  expect(await imageAt(address)).toMatchObject({
    digest: digestOf(MANY),
    platforms: { 'linux/amd64': digestOf(SINGLE) },
  });
});

test.each<[string, (path: string) => Answer, string | undefined]>([
  ['an index under a digest', (path) => honest(path), `sha256:${'a'.repeat(64)}`],
  ['an index under a sha512 digest', (path) => honest(path), `sha512:${'a'.repeat(128)}`],
  [
    'an index whose header names another digest',
    (path) => ({ ...honest(path), headers: { 'content-type': INDEX, 'docker-content-digest': digestOf('other') } }),
    undefined,
  ],
  [
    'the manifest of a platform',
    (path) => (path.endsWith(digestOf(SINGLE)) ? { ...honest(path), body: `${SINGLE} ` } : honest(path)),
    undefined,
  ],
  [
    'a configuration',
    (path) => (path.includes('/blobs/') ? { body: CONFIG.replace('amd64', 'arm64') } : honest(path)),
    undefined,
  ],
])('other bytes than their digest says are refused: %s', async (_what, answer, reference) => {
  const { address } = await registryThat(answer);
  expect(await refused(imageAt(address, reference))).toMatchObject({ code: 'DIGEST_DIFFERS', exitCode: 6 });
});

test.each<[string, Answer]>([
  ['no JSON', { headers: { 'content-type': INDEX }, body: '<html>' }],
  ['a digest that leads elsewhere', index([{ digest: '../../../other/manifests/latest' }])],
  ['thousands of platforms', index(Array.from({ length: 5_000 }, () => ({ digest: digestOf(SINGLE) })))],
  [
    'a platform with control characters',
    index([{ digest: digestOf(SINGLE), platform: { os: '\u001b]0;', architecture: 'x' } }]),
  ],
  ['another kind than its header says', { headers: { 'content-type': INDEX }, body: SINGLE }],
  [
    'an index that is a manifest too',
    { headers: { 'content-type': INDEX }, body: JSON.stringify({ manifests: [], config: {}, layers: [] }) },
  ],
])('what is no image is refused and no bug: %s', async (_what, answer) => {
  const { address, asked } = await registryThat((path) => (path === '/v2/' ? {} : answer));
  expect(await refused(imageAt(address))).toMatchObject({ code: 'FAILED' });
  expect(asked.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1);
});

function index(manifests: unknown[]): Answer {
  return { headers: { 'content-type': INDEX }, body: JSON.stringify({ manifests }) };
}

test('no more is read than a manifest can have', async () => {
  let sent = 0;
  const endless = createServer((request, response) => {
    if (request.url === '/v2/') return void response.end();
    response.writeHead(200, { 'content-type': INDEX });
    const chunk = Buffer.alloc(64 * 1024);
    const more = (): void => {
      while (!response.destroyed) {
        sent += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
    };
    more();
  });
  const error = await refused(imageAt(await listen(endless)));
  expect(error).toMatchObject({ code: 'FAILED' });
  expect(error.message).toContain('4 MiB');
  expect(sent).toBeLessThan(32 * 1024 * 1024);
});

test('a redirect takes no password to another host, and what comes from there is hashed too', async () => {
  const other = await registryThat((path) => ({ ...honest(path), body: CONFIG.replace('amd64', 'arm64') }));
  const first = await registryThat((path, { headers }) => {
    if (path === '/v2/') return {};
    if (headers.authorization === undefined) return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    if (path.includes('/blobs/')) return { status: 307, headers: { location: `http://${other.address}${path}` } };
    return honest(path);
  });
  await logIn(first.address);
  expect(await refused(imageAt(first.address))).toMatchObject({ code: 'DIGEST_DIFFERS' });
  expect(first.asked.at(-1)?.authorization).toContain('Basic');
  expect(other.asked).toHaveLength(1);
  expect(other.asked[0]?.authorization).toBeUndefined();
});

test('a host that was only redirected to gets no answer to its challenge', async () => {
  const other = await registryThat(() => ({ status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }));
  const first = await registryThat((path) =>
    path === '/v2/' ? {} : { status: 302, headers: { location: `http://${other.address}/` } },
  );
  await logIn(first.address);
  expect(await refused(imageAt(first.address))).toMatchObject({ code: 'AUTHENTICATION' });
  expect([...first.asked, ...other.asked].every(({ authorization }) => authorization === undefined)).toBe(true);
});

test('redirects come to an end', async () => {
  const circle = await registryThat((path) => ({ status: 302, headers: { location: path } }));
  expect(await refused(imageAt(circle.address))).toMatchObject({ code: 'FAILED' });
  expect(circle.asked.length).toBeLessThan(20);
});

test('TLS is not left: neither by a redirect nor for a token', async () => {
  await makeCertificate(join(folder, 'tls'), join(folder, 'vault'), ['127.0.0.1']);
  const [key, cert] = await Promise.all(
    ['privkey.pem', 'fullchain.pem'].map((name) => readFile(join(folder, 'tls', name))),
  );
  const secure = (listener: RequestListener): Server => createSecureServer({ key, cert }, listener);
  const plain = await registryThat(honest);
  const redirecting = await registryThat(
    (path) => (path === '/v2/' ? {} : { status: 302, headers: { location: `http://${plain.address}${path}` } }),
    secure,
  );
  expect(await refused(imageAt(redirecting.address))).toMatchObject({ code: 'FAILED' });
  const sending = await registryThat(
    (path) =>
      path === '/v2/'
        ? {}
        : { status: 401, headers: { 'www-authenticate': 'Bearer realm="http://tokens.example.invalid/"' } },
    secure,
  );
  const error = await refused(imageAt(sending.address));
  expect(error).toMatchObject({ code: 'AUTHENTICATION' });
  expect(error.message).toContain('http://tokens.example.invalid');
  expect(plain.asked).toHaveLength(0);
});

test('a registry without TLS cannot have a password sent to another host', async () => {
  const { address } = await registryThat((path) =>
    path === '/v2/'
      ? {}
      : { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://tokens.example.invalid/"' } },
  );
  await logIn(address);
  const error = await refused(imageAt(address));
  expect(error).toMatchObject({ code: 'AUTHENTICATION' });
  expect(error.message).toContain('https://tokens.example.invalid');
});

test('who gets a password is who the registry names over TLS, on whatever host, and nobody else', () => {
  const hub = { registry: 'docker.io', base: new URL('https://registry-1.docker.io'), proved: true };
  expect(realmOf('https://auth.docker.io/token', hub, true).host).toBe('auth.docker.io');
  expect(refusal(() => realmOf('http://auth.docker.io/token', hub, false)).code).toBe('AUTHENTICATION');
  const insecure = { registry: 'reg.lan', base: new URL('http://reg.lan'), proved: false };
  expect(realmOf('http://reg.lan:5001/token', insecure, true).host).toBe('reg.lan:5001');
  expect(realmOf('https://other.lan/token', insecure, false).host).toBe('other.lan');
  for (const realm of ['https://other.lan/', 'file:///etc/passwd', 'token', 'https://robot:x@reg.lan/'])
    expect(refusal(() => realmOf(realm, insecure, true)).code).toBe('AUTHENTICATION');
});

test('a registry that never lets us in is asked twice', async () => {
  const { address, asked } = await registryThat((path) =>
    path === '/v2/' ? {} : { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
  );
  await logIn(address);
  expect(await refused(imageAt(address))).toMatchObject({ code: 'AUTHENTICATION', exitCode: 4 });
  expect(asked.filter(({ path }) => path !== '/v2/')).toHaveLength(2);
});

test.each(['', '{"token":"a\\nb"}', '{"token":7}', '[]'])(
  'a token service that gives none is named: %j',
  async (body) => {
    const { address } = await registryThat((path) => {
      if (path.startsWith('/token')) return { body };
      return path === '/v2/'
        ? {}
        : { status: 401, headers: { 'www-authenticate': `Bearer realm="http://${address}/token"` } };
    });
    const error = await refused(imageAt(address));
    expect(error).toMatchObject({ code: 'FAILED' });
    expect(error.message).toContain(address);
  },
);

test('a token service that does not answer is named, not the registry', async () => {
  const gone = createServer();
  const realm = `http://${await listen(gone)}/token`;
  servers.splice(0);
  await new Promise((resolve) => gone.close(resolve));
  const { address } = await registryThat((path) =>
    path === '/v2/' ? {} : { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}"` } },
  );
  const error = await refused(imageAt(address));
  expect(error).toMatchObject({ code: 'UNREACHABLE', exitCode: 4 });
  expect(error.message).toContain(realm);
});

test('a busy registry is asked again when it says, and what it says in the end is told', async () => {
  let left = 2;
  const { address } = await registryThat((path) =>
    path !== '/v2/' && left-- > 0 ? { status: 429, headers: { 'retry-after': '0' } } : honest(path),
  );
  expect(await imageAt(address)).toMatchObject({ digest: digestOf(MANY) });
  const never = await registryThat((path) =>
    path === '/v2/' ? {} : { status: 429, headers: { 'retry-after': new Date(0).toUTCString() } },
  );
  const error = await refused(imageAt(never.address));
  expect(error).toMatchObject({ code: 'UNREACHABLE' });
  expect(error.details.hint?.en).toContain('Retry-After');
  expect(never.asked.filter(({ path }) => path !== '/v2/').length).toBeLessThan(6);
});
