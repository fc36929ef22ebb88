import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Endpoint } from '../../src/domain/inventory.ts';
import { until } from '../until.ts';
import { openFleet, type Fleet } from '../../src/effects/fleet.ts';
import { KeyRing, type TransportKind } from '../../src/effects/key-ring.ts';
import { openHost, type Host } from './hosts.ts';
import { failureOf } from './failure.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let w1: Host;
let w2: Host;
beforeAll(async () => {
  rig = await openRig([]);
  [w1, w2] = await Promise.all([openHost(rig, 'w1'), openHost(rig, 'w2')]);
});
afterAll(() => rig?.close());

type Target = Parameters<Fleet['connect']>[0];

function endpoint(host: Host, changes: Partial<Endpoint> = {}): Endpoint {
  const { address, port, identity, hostKey } = host;
  return { host: address, port, user: 'root', identity, hostKey, ...changes };
}
const target = (host: Host, changes: Partial<Target> = {}): Target => ({
  id: 2,
  name: host.name,
  jumps: [],
  ...endpoint(host),
  ...changes,
});

const KINDS: readonly TransportKind[] = ['node', 'openssh'];
/** Neither the key files nor the agent of whoever runs the tests. */
const ringOf = (transport: TransportKind): KeyRing =>
  new KeyRing({ projectKey: null, askPassphrase: async () => null, transport });

async function withFleet<T>(
  transport: TransportKind,
  work: (fleet: Fleet) => Promise<T>,
  ring = ringOf(transport),
): Promise<T> {
  const fleet = openFleet(ring);
  try {
    return await work(fleet);
  } finally {
    await fleet.close();
  }
}

/** The key that lets root in at w1, behind a passphrase; its path. */
async function lockedKey(name: string): Promise<string> {
  const path = join(rig.folder, `${name}.locked`);
  await copyFile(w1.identity, path);
  await rig.must(['ssh-keygen', '-q', '-p', '-P', '', '-N', PASSPHRASE, '-f', path]);
  return path;
}
const PASSPHRASE = 'open sesame';

/** A real ssh-agent with nothing in it. */
async function startSshAgent(name: string): Promise<{ socket: string; end(): void }> {
  const socket = join(rig.folder, `${name}.sock`);
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  await until('the agent', () => existsSync(socket));
  return { socket, end: () => void child.kill() };
}

test('a passphrase is asked for once, whatever needs it; a wrong one is told', async () => {
  const locked = await lockedKey('asked');
  const asked: string[] = [];
  const ringThat = (answer: string | null): KeyRing =>
    new KeyRing({
      projectKey: null,
      askPassphrase: async (path) => {
        asked.push(path);
        return answer;
      },
    });
  vi.stubEnv('SSH_AUTH_SOCK', '');
  try {
    const ring = ringThat(PASSPHRASE);
    for (let round = 0; round < 2; round += 1)
      await withFleet(
        'node',
        async (fleet) => {
          const connection = await fleet.connect(target(w1, { identity: locked }));
          expect((await connection.exec(['true'], { timeout: 10_000 })).code).toBe(0);
        },
        ring,
      );
    expect(asked).toEqual([locked]);
    const failed = await withFleet(
      'node',
      (fleet) => failureOf(fleet.connect(target(w1, { identity: locked }))),
      ringThat('open barley'),
    );
    expect(failed).toMatchObject({ code: 'AUTHENTICATION', exitCode: 4, details: { host: 'w1' } });
    expect(failed.text.en).toContain(`the passphrase of ${locked} is wrong`);
    expect(JSON.stringify(failed)).not.toContain('barley');
  } finally {
    vi.unstubAllEnvs();
  }
});

describe.for(KINDS)('%s', (kind) => {
  test('arguments, input, both streams and the exit code are what they are', () =>
    withFleet(kind, async (fleet) => {
      const [connection, twin] = await Promise.all([fleet.connect(target(w1)), fleet.connect(target(w1))]);
      expect(twin).toBe(connection);
      expect(await fleet.connect(target(w1))).toBe(connection);
      const words = ['', 'two  words', `it's "$(reboot)" \`id\``, '-n', 'ümläut 星', 'line\nline', '\\', '*'];
      const shown = await connection.exec(['printf', '<%s>', ...words], { timeout: 20_000 });
      expect(shown).toEqual({ code: 0, stdout: words.map((word) => `<${word}>`).join(''), stderr: '' });
      const script = 'cat; echo oops >&2; exit 255';
      const input = 'äö\n'.repeat(20_000);
      const lines: string[] = [];
      const failed = await connection.exec(['sh', '-c', script], {
        input,
        timeout: 20_000,
        onLine: (line) => lines.push(line),
      });
      expect(failed).toEqual({ code: 255, stdout: input, stderr: 'oops\n' });
      expect(lines).toHaveLength(20_001);
      expect(await connection.exec(['/no/such/program'], { timeout: 20_000 })).toMatchObject({ code: 127 });
      const side = await Promise.all(
        Array.from({ length: 8 }, (_, index) => connection.exec(['echo', String(index)], { timeout: 20_000 })),
      );
      expect(side.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, index) => `${index}\n`));
    }));

  test('what a login shell says is not taken for an answer', () =>
    withFleet(kind, async (fleet) => {
      await w1.must(['tee', '/root/.bashrc'], { input: 'echo Welcome; echo "12345"; printf "have fun"\n' });
      try {
        const connection = await fleet.connect(target(w1));
        // It is said before everything, also before nothing.
        expect(await connection.exec(['printf', '\n1'], { timeout: 20_000 })).toMatchObject({ code: 0, stdout: '\n1' });
        expect(await connection.exec(['true'], { timeout: 20_000 })).toMatchObject({ code: 0, stdout: '' });
        const late = await failureOf(connection.exec(['sleep', '444'], { timeout: 1_000 }));
        expect(late).toMatchObject({ code: 'TIMEOUT' });
        expect((await w1.sh(['pgrep', '-f', '^sleep 444$'])).exitCode).toBe(1);
      } finally {
        await w1.must(['rm', '/root/.bashrc']);
      }
    }));

  test('what takes too long, or is not wanted any more, is ended over there', () =>
    withFleet(kind, async (fleet) => {
      const connection = await fleet.connect(target(w1));
      const running = async (): Promise<boolean> => (await w1.sh(['pgrep', '-f', '^sleep 4242$'])).exitCode === 0;
      const late = await failureOf(connection.exec(['sleep', '4242'], { timeout: 1_000 }));
      expect(late).toMatchObject({ code: 'TIMEOUT', details: { host: 'w1' } });
      await until('it to be ended', async () => !(await running()));
      const stop = new AbortController();
      const interrupted = failureOf(connection.exec(['sleep', '4242'], { timeout: 60_000, signal: stop.signal }));
      await until('it to run', running);
      stop.abort();
      expect(await interrupted).toMatchObject({ code: 'INTERRUPTED' });
      await until('it to be ended', async () => !(await running()));
      expect(await connection.exec(['true'], { timeout: 20_000 })).toMatchObject({ code: 0 });
    }));

  test('through a server on the way, whose key is verified as well', () =>
    withFleet(kind, async (fleet) => {
      const way = target(w2, { jumps: [endpoint(w1)] });
      const connection = await fleet.connect(way);
      const from = await connection.exec(['sh', '-c', 'echo "$SSH_CONNECTION"'], { timeout: 20_000 });
      expect(from.stdout.split(' ')[0]).toBe(w1.address);
      const wrong = target(w2, { jumps: [endpoint(w1, { hostKey: w2.hostKey })] });
      expect(await failureOf(fleet.connect(wrong))).toMatchObject({ code: 'HOST_KEY', exitCode: 4 });
    }));

  test('a host key that is not the pinned one, or none: refused before anything is sent', () =>
    withFleet(kind, async (fleet) => {
      const [changed, none] = [target(w1, { hostKey: w2.hostKey }), target(w1, { hostKey: null })];
      for (const host of [changed, none])
        expect(await failureOf(fleet.connect(host))).toMatchObject({
          code: 'HOST_KEY',
          exitCode: 4,
          details: { host: 'w1' },
        });
    }));

  test('a key that is not let in, a port that is closed, a name that is none', () =>
    withFleet(kind, async (fleet) => {
      const refused = await failureOf(fleet.connect(target(w1, { identity: w2.identity })));
      expect(refused).toMatchObject({ code: 'AUTHENTICATION', exitCode: 4, details: { host: 'w1' } });
      const closed = await failureOf(fleet.connect(target(w1, { port: 2 })));
      expect(closed).toMatchObject({ code: 'UNREACHABLE', exitCode: 4 });
      expect(closed.text.en).toContain('nothing listens');
      expect(await failureOf(fleet.connect(target(w1, { host: 'no-such-host.invalid' })))).toMatchObject({
        code: 'UNREACHABLE',
      });
    }));

  test('a key that is locked: the agent that holds it opens the door; without, it is named with what mends it', async () => {
    const locked = await lockedKey(kind);
    const host = target(w1, { identity: locked });
    const agent = await startSshAgent(kind);
    try {
      await rig.must(['ssh-add', '-q', w1.identity], { env: { SSH_AUTH_SOCK: agent.socket } });
      vi.stubEnv('SSH_AUTH_SOCK', agent.socket);
      await withFleet(kind, async (fleet) => {
        const connection = await fleet.connect(host);
        expect((await connection.exec(['true'], { timeout: 10_000 })).code).toBe(0);
      });
    } finally {
      vi.unstubAllEnvs();
      agent.end();
    }
    vi.stubEnv('SSH_AUTH_SOCK', '');
    const alone = await withFleet(kind, (fleet) => failureOf(fleet.connect(host)));
    vi.unstubAllEnvs();
    expect(alone).toMatchObject({ code: 'AUTHENTICATION', exitCode: 4, details: { host: 'w1' } });
    expect(alone.details.hint?.en).toContain('ssh-add');
  });

  test('a cable that is pulled out in the middle, and a server that says nothing', () =>
    withFleet(kind, async (fleet) => {
      const connection = await fleet.connect(target(w1));
      const marker = join('/run', `${kind}-runs`);
      const cut = failureOf(
        connection.exec(['sh', '-c', 'touch "$1"; exec sleep 99', 'sh', marker], { timeout: 60_000 }),
      );
      await until('it to run', async () => (await w1.sh(['test', '-e', marker])).exitCode === 0);
      await w1.cut();
      expect(await cut).toMatchObject({ code: 'UNREACHABLE', details: { host: 'w1' } });
      await w1.restore();
      await until('it to be there again', async () => {
        const again = await fleet.connect(target(w1)).catch(() => null);
        return again !== null && (await again.exec(['true'], { timeout: 5_000 })).code === 0;
      });
      await w2.freeze();
      try {
        expect(await failureOf(fleet.connect(target(w2)))).toMatchObject({
          code: 'UNREACHABLE',
          details: { host: 'w2' },
        });
      } finally {
        await w2.thaw();
      }
    }));
});
