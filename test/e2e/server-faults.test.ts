import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  AGENT_SECRET,
  asAdmin,
  bearer,
  openServerRig,
  post,
  tokenOf,
  VITALS,
  type RunningServer,
  type ServerRig,
} from './server-rig.ts';

let rig: ServerRig;
let server: RunningServer;
let neighbour: Record<string, unknown>;
beforeAll(async () => {
  rig = await openServerRig();
  server = await rig.start();
});
afterAll(() => rig?.close());
beforeEach(async () => {
  await server.beat(3, { cpu: 33, mem: 44, version: 'v1.2.3' });
  neighbour = await server.worker(3);
});

async function expectNeighbourAsBefore(): Promise<void> {
  expect(await server.worker(3)).toEqual(neighbour);
  expect(neighbour).toMatchObject({ status: 'online', cpu_percent: 33, memory_percent: 44 });
}

/** Sends bytes as they are, and returns all that came back before the server closed, or before it was silent for so long. */
function raw(bytes: string | Buffer, options: { patience?: number; end?: boolean } = {}): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(bytes);
      if (options.end === true) socket.end();
    });
    socket.setTimeout(options.patience ?? 3_000, () => socket.destroy());
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

const head = (length: number | string, extra = ''): string =>
  `POST /api/workers/2/heartbeat/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokenOf(2)}\r\n` +
  `Content-Length: ${length}\r\n${extra}\r\n`;

describe('a heartbeat that is none', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  test.each<[string, unknown, string]>([
    ['a list', [], 'body'],
    ['null', 'null', 'body'],
    ['a word', '"x"', 'body'],
    ['nothing', '', 'body'],
    ['no JSON', '{"cpu":', 'body'],
    ['NaN', '{"cpu":NaN,"mem":1}', 'body'],
    ['cpu is a word', { ...VITALS, cpu_percent: 'abc' }, 'cpu_percent'],
    ['cpu is a number in quotes', { ...VITALS, cpu_percent: '12' }, 'cpu_percent'],
    ['cpu under the other name', { cpu: 'abc', mem: 1 }, 'cpu'],
    ['cpu is beyond numbers', '{"cpu_percent":1e309,"memory_percent":1}', 'cpu_percent'],
    ['cpu is less than nothing', { ...VITALS, cpu_percent: -1e9 }, 'cpu_percent'],
    ['cpu is more than everything', { ...VITALS, cpu_percent: 101 }, 'cpu_percent'],
    ['memory is a list', { ...VITALS, memory_percent: [1] }, 'memory_percent'],
    ['memory is more than everything', { cpu: 1, mem: 100.1 }, 'mem'],
    ['no cpu', { memory_percent: 1 }, 'cpu_percent'],
    ['no memory', { cpu_percent: 1 }, 'memory_percent'],
    ['a version with a command', { ...VITALS, version: 'v2;reboot' }, 'version'],
    ['a version with a line end', { ...VITALS, version: 'v2\n' }, 'version'],
    ['a version that is a number', { ...VITALS, version: 2 }, 'version'],
    ['a long version', { ...VITALS, version: 'v'.repeat(129) }, 'version'],
    ['lists in lists, 10,000 deep', nested(10_000), 'body'],
    ['a prototype', '{"__proto__":{"cpu_percent":1,"memory_percent":1}}', 'cpu_percent'],
    ['a constructor', '{"constructor":{"prototype":{"cpu_percent":1}}}', 'cpu_percent'],
  ])('%s: 400 that names the field', async (_what, body, field) => {
    const answer = await server.beat(2, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ error: { code: 'BAD_INPUT', message: expect.any(String), field } });
    expect(JSON.stringify(answer.body)).not.toContain('reboot');
    expect(({} as Record<string, unknown>)['cpu_percent']).toBeUndefined();
    await expectNeighbourAsBefore();
  });

  test.each([
    ['a version of a megabyte', JSON.stringify({ ...VITALS, version: 'v'.repeat(1_000_000) })],
    ['10 megabytes', `{"cpu":1,"mem":1,"x":"${'y'.repeat(10_000_000)}"}`],
  ])('%s: 413', async (_what, body) => {
    // The server may close before it has read everything: whichever way that is noticed, it answered.
    const answer = await raw(head(body.length) + body.slice(0, 70_000));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"field":"body"');
    await expectNeighbourAsBefore();
  });

  test('10 megabytes in chunks: 413', async () => {
    const chunk = `8000\r\n${'z'.repeat(0x8000)}\r\n`;
    const begin = head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
    expect(await raw(begin + chunk.repeat(8))).toMatch(/^HTTP\/1\.1 413 /);
    await expectNeighbourAsBefore();
  });

  test('a gzip bomb is not opened', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const answer = await server.call('/api/workers/2/heartbeat/', {
      method: 'POST',
      headers: { ...bearer(tokenOf(2)), 'content-encoding': 'gzip' },
      body: bomb.subarray(0, 50_000),
    });
    expect(answer).toMatchObject({ status: 400, body: { error: { field: 'Content-Encoding' } } });
    await expectNeighbourAsBefore();
  });
});

describe('a heartbeat that counts', () => {
  test.each<[string, unknown, string | null]>([
    ['no version', { cpu: 1, mem: 2 }, null],
    ['version null', { cpu: 1, mem: 2, version: null }, null],
    ['version unknown', { cpu: 1, mem: 2, version: 'unknown' }, null],
    ['whole percents', { cpu: 100, mem: 0, version: 'v1.2.3' }, 'v1.2.3'],
    ['what nobody asked for, 10,000 deep', `{"cpu":1,"mem":2,"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, null],
    ['a clock that is a day off', { ...VITALS, time: '1970-01-01T00:00:00Z', timestamp: 1e15 }, 'v1.2.3'],
    ['a prototype beside it', '{"cpu":1,"mem":2,"__proto__":{"version":"v9"}}', null],
  ])('%s', async (_what, body, version) => {
    const answer = await server.beat(2, body);
    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'ok', need_update: false, server_version: 'v1.2.3' },
    });
    const worker = await server.worker(2);
    expect(worker).toMatchObject({ status: 'online', version });
    expect(Math.abs(Date.parse(String(worker['last_seen'])) - Date.now())).toBeLessThan(60_000);
    await expectNeighbourAsBefore();
  });

  test('one whose body comes in pieces, and one whose length is not said', async () => {
    const body = JSON.stringify({ cpu: 61, mem: 2, version: 'v1.2.3' });
    const chunked = head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
    const pieces = [head(body.length), body.slice(0, 9), body.slice(9)];
    expect(await inPieces(pieces)).toMatch(/^HTTP\/1\.1 200 .*"need_update":false/s);
    expect(await server.worker(2)).toMatchObject({ cpu_percent: 61 });
    const text = body.replace('61', '62');
    expect(
      await inPieces([
        chunked,
        `5\r\n${text.slice(0, 5)}\r\n`,
        `${(text.length - 5).toString(16)}\r\n${text.slice(5)}\r\n0\r\n\r\n`,
      ]),
    ).toMatch(/^HTTP\/1\.1 200 /);
    expect(await server.worker(2)).toMatchObject({ cpu_percent: 62 });
    await expectNeighbourAsBefore();
  });
});

/** Sends one piece after the other, each when the one before has arrived, and returns the beginning of the answer. */
function inPieces(pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.once('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.once('error', reject);
    void (async () => {
      for (const piece of pieces) {
        await new Promise((sent) => socket.write(piece, sent));
        // The server's turn: it reads before the next piece is there.
        expect((await server.call('/livez')).status).toBe(200);
      }
    })().catch(reject);
  });
}

describe('who may beat', () => {
  test.each<[string, string, RequestInit, number]>([
    ["another worker's token", '/api/workers/3/heartbeat/', post({ cpu: 1, mem: 1 }, tokenOf(2)), 403],
    [
      'the secret of all agents, for a worker with its own',
      '/api/workers/3/heartbeat/',
      post(VITALS, AGENT_SECRET),
      403,
    ],
    ['no token', '/api/workers/3/heartbeat/', post({ cpu: 1, mem: 1 }), 401],
    ['a wrong token', '/api/workers/3/heartbeat/', post({ cpu: 1, mem: 1 }, 'x'), 401],
    ['another scheme', '/api/workers/3/heartbeat/', { method: 'POST', headers: { authorization: 'Basic eA==' } }, 401],
    ['an unknown id, with the token of that id', '/api/workers/77/heartbeat/', post(VITALS, tokenOf(77)), 404],
    ['an unknown id without a token', '/api/workers/77/heartbeat/', post(VITALS), 401],
    ['__proto__', '/api/workers/__proto__/heartbeat/', post(VITALS, tokenOf(2)), 404],
    ['an id that is no number', '/api/workers/2e0/heartbeat/', post(VITALS, tokenOf(2)), 404],
    ['an id with too many digits', `/api/workers/${'9'.repeat(90)}/heartbeat/`, post(VITALS, tokenOf(2)), 404],
    ['an id that goes up', '/api/workers/2/../3/heartbeat/', post({ cpu: 1, mem: 1 }, tokenOf(2)), 403],
    ['a name for somebody else', '/api/workers/register/', post({ name: 'w3' }, tokenOf(2)), 401],
    ['a registration without a token', '/api/workers/register/', post({ name: 'w3' }), 401],
    ['a registration without a name', '/api/workers/register/', post({ name: ' ' }, AGENT_SECRET), 400],
    ['nothing there', '/api/nothing/', asAdmin, 404],
    ['a method that is none', '/api/workers/2/', { ...asAdmin, method: 'PUT' }, 404],
    ['the workers without a token', '/api/workers/', {}, 401],
    ["the workers with an agent's token", '/api/workers/', { headers: bearer(tokenOf(2)) }, 401],
    ['the metrics without a token', '/metrics', {}, 401],
    ['the events without a token', '/api/events/', {}, 401],
    ['a declared worker is not removed from here', '/api/workers/3/', { ...asAdmin, method: 'DELETE' }, 409],
    ['an event that never was', '/api/events/', { headers: { ...asAdmin.headers, 'last-event-id': 'x;y' } }, 400],
  ])('%s', async (_what, path, request, status) => {
    const answer = await server.call(path, request);
    expect(answer).toMatchObject({
      status,
      body: { error: { code: expect.any(String), message: expect.any(String) } },
    });
    await expectNeighbourAsBefore();
  });

  test('what is not allowed is not even read', async () => {
    const begin = head(10_000_000).replace(tokenOf(2), 'wrong');
    expect(await raw(begin)).toMatch(/^HTTP\/1\.1 401 /);
  });
});

describe('requests that are broken', () => {
  const body = JSON.stringify(VITALS);
  test('a body that is shorter than it says, and ends', async () => {
    const answer = await raw(head(body.length + 10) + body, { end: true });
    expect(answer === '' || answer.startsWith('HTTP/1.1 400 ')).toBe(true);
    await expectNeighbourAsBefore();
  });

  test('a body that is longer than it says', async () => {
    const answer = await raw(head(body.length - 1) + body);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    await expectNeighbourAsBefore();
  });

  test.each([
    ['a length that is no number', head('abc')],
    ['a length that is negative', head(-5)],
    ['two lengths', head(5, 'Content-Length: 6\r\n')],
    ['a length and chunks', head(5, 'Transfer-Encoding: chunked\r\n')],
    ['no HTTP', 'hello\r\n\r\n'],
  ])('%s: 400', async (_what, bytes) => {
    expect(await raw(bytes)).toMatch(/^HTTP\/1\.1 400 .*"code":"BAD_REQUEST"/s);
    await expectNeighbourAsBefore();
  });

  test('a header that is too long: 413', async () => {
    expect(await raw(head(2, `X: ${'y'.repeat(20_000)}\r\n`))).toMatch(/^HTTP\/1\.1 413 .*"field":"header"/s);
  });

  test('a header that does not come, and a body that does not come: 400, in time', async () => {
    const [slowHeader, slowBody] = await Promise.all([
      raw('GET /api/ HTTP/1.1\r\nHost:', { patience: 20_000 }),
      raw(head(100) + '{', { patience: 20_000 }),
    ]);
    expect(slowHeader).toMatch(/^HTTP\/1\.1 400 .*"code":"TIMEOUT"/s);
    expect(slowBody).toMatch(/^HTTP\/1\.1 400 .*"code":"TIMEOUT"/s);
    await expectNeighbourAsBefore();
  });
});

test('nothing of all this was a bug, and no secret is in the log', () => {
  const text = rig.log.join('');
  expect(text).not.toContain('a request failed');
  expect(text).not.toContain(AGENT_SECRET);
  expect(text).not.toContain(tokenOf(2));
});
