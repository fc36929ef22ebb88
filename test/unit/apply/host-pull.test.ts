import { describe, expect, test } from 'vitest';
import { pullOnHost } from '../../../src/apply/host-pull.ts';
import type { Connection, ExecResult } from '../../../src/effects/transport.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;
const IMAGE = { reference: 'registry.example/team/xingrin-agent:v1.0.0', digests: [DIGEST] };
const CONTEXT = { signal: new AbortController().signal, report: () => {} };

/** An engine by what it holds, what its registry gives, and how it answers. */
function engine(options: { here?: string; gives?: string; says?: string; engine?: boolean }) {
  let here = options.here ?? null;
  const calls: string[] = [];
  const answer = (argv: readonly string[]): ExecResult => {
    const words = argv.slice(1, 3).join(' ');
    calls.push(words);
    const good = (stdout = ''): ExecResult => ({ code: 0, stdout, stderr: '' });
    if (words === 'image inspect')
      return here === null ? { code: 1, stdout: '', stderr: '' } : good(JSON.stringify([`x@${here}`]));
    if (words === 'image rm') here = null;
    if (words === 'pull --') {
      if (options.gives === undefined) return { code: 1, stdout: '', stderr: options.says ?? '' };
      here = options.gives;
    }
    if (words.startsWith('version'))
      return options.engine === false ? { code: 1, stdout: '', stderr: 'no' } : good('1');
    return good();
  };
  const connection: Connection = { exec: async (argv) => answer(argv), close: async () => {} };
  return { connection, calls, holds: () => here };
}

describe('pullOnHost', () => {
  test('pulls only what is missing', async () => {
    const there = engine({ here: DIGEST });
    expect(await pullOnHost(there.connection, 'w1', IMAGE, CONTEXT)).toBe('unchanged');
    expect(there.calls).toEqual(['image inspect']);
    expect(await pullOnHost(engine({ gives: DIGEST }).connection, 'w1', IMAGE, CONTEXT)).toBe('done');
    expect(await pullOnHost(engine({ here: OTHER, gives: DIGEST }).connection, 'w1', IMAGE, CONTEXT)).toBe('done');
  });

  test('refuses a moved image tag, and leaves no wrong image under that name', async () => {
    const { connection, holds } = engine({ gives: OTHER });
    await expect(pullOnHost(connection, 'w1', IMAGE, CONTEXT)).rejects.toMatchObject({
      code: 'DIGEST_DIFFERS',
      exitCode: 6,
      details: { host: 'w1' },
    });
    expect(holds()).toBeNull();
  });

  test.for([
    ['write /var/lib/docker/tmp/x: no space left on device', 'DISK', 'disk is full'],
    ['Error response from daemon: manifest for x:v1 not found: manifest unknown', 'IMAGE_MISSING', 'no such image tag'],
    ['pull access denied for x, repository does not exist or may require docker login', 'IMAGE_MISSING', 'login'],
    ['dial tcp: lookup registry.example on 127.0.0.1:53: no such host', 'IMAGE_MISSING', 'address of registry.example'],
    ['dial tcp 10.0.0.1:443: connect: connection refused', 'IMAGE_MISSING', 'cannot reach registry.example'],
    ['x509: certificate signed by unknown authority', 'IMAGE_MISSING', 'certificate of registry.example'],
    ['something new', 'IMAGE_MISSING', 'refused'],
  ] as const)('%s', async ([says, code, words]) => {
    const failure = pullOnHost(engine({ says }).connection, 'w1', IMAGE, CONTEXT);
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  test('an engine that stopped is told as that', async () => {
    const { connection } = engine({ says: 'Cannot connect', engine: false });
    await expect(pullOnHost(connection, 'w1', IMAGE, CONTEXT)).rejects.toMatchObject({ code: 'ENGINE_MISSING' });
  });
});
