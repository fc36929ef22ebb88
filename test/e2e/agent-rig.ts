import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpsServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CERTIFICATE_FILES } from '../../src/effects/certificate.ts';
import { makeCertificate } from '../../src/effects/certificate-maker.ts';
import { run } from '../../src/effects/process.ts';
import { unpackDebian } from '../../src/sandbox/debian.ts';

export const AGENT = join(import.meta.dirname, '../../templates/project/docker/agent/agent.sh');

/** A request as it arrived. */
export interface Call {
  readonly path: string;
  readonly token: string | undefined;
  readonly body: Record<string, unknown>;
  /** Milliseconds. */
  readonly at: number;
}

type Answer = readonly [status: number, body: unknown];

/** A control plane over TLS whose every answer a test decides. */
export interface Door {
  readonly port: number;
  /** PEM of the authority that vouches for it. */
  readonly authority: string;
  readonly calls: Call[];
  /** `hang`: takes the request and keeps silent. */
  answer: (call: Call) => Answer | 'hang';
  /** Nobody listens on the port any more; and again. */
  down(): Promise<void>;
  up(): Promise<void>;
}

/** What a server of ours answers. */
export function usual({ path }: Call): Answer {
  return path.endsWith('/register/')
    ? [201, { worker_id: 7, workerId: 7, name: 'w', created: true }]
    : [200, { status: 'ok', need_update: false, server_version: 'v1.0.0' }];
}

/** A certificate of an authority of its own, as `install` makes it; and what its door answers is {@link usual}. */
export async function openDoor(names: readonly string[]): Promise<Door> {
  const folder = await mkdtemp(join(tmpdir(), 'xingrin-door-'));
  await makeCertificate(folder, join(folder, 'keys'), names);
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8');
  const [cert, key, authority] = await Promise.all([
    read(CERTIFICATE_FILES.chain),
    read(CERTIFICATE_FILES.key),
    read(CERTIFICATE_FILES.authority),
  ]);
  await rm(folder, { recursive: true });
  let server: HttpsServer;
  let port = 0;
  const door: Door = {
    get port() {
      return port;
    },
    authority,
    calls: [],
    answer: usual,
    async down() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    async up() {
      server = createServer({ cert, key }, (request, response) => void serve(door, request, response));
      server.listen(port, '0.0.0.0');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    },
  };
  await door.up();
  return door;
}

async function serve(door: Door, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const call: Call = {
    path: request.url ?? '',
    token: request.headers.authorization,
    body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
    at: performance.now(),
  };
  door.calls.push(call);
  const answer = door.answer(call);
  if (answer === 'hang') return;
  const [status, body] = answer;
  response.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere/' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A shell with the programs that come with it. */
export interface Shell {
  readonly argv: readonly string[];
  readonly path: string;
}

/** dash with the tools of this machine, and busybox with nothing but its own and curl. */
export async function shellsIn(folder: string): Promise<Readonly<Record<'dash' | 'busybox', Shell>>> {
  const program = join(await unpackDebian(['busybox-static']), 'bin/busybox');
  const bin = join(folder, 'busybox');
  await mkdir(bin);
  await copyFile(program, join(bin, 'busybox'));
  for (const applet of (await run([program, '--list'])).stdout.split('\n')) {
    if (applet !== '' && applet !== 'busybox') await symlink('busybox', join(bin, applet));
  }
  await symlink('/usr/bin/curl', join(bin, 'curl'));
  return {
    dash: { argv: ['/usr/bin/dash'], path: '/usr/bin:/bin' },
    busybox: { argv: [join(bin, 'sh')], path: bin },
  };
}

/** A machine whose load is known: a fifth of the processors' time, three quarters of the memory. */
export async function makeProc(folder: string): Promise<string> {
  const proc = join(folder, 'proc');
  await mkdir(proc);
  await writeFile(join(proc, 'stat'), 'cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 2 3\n');
  await writeFile(join(proc, 'meminfo'), 'MemTotal: 8000 kB\nMemFree: 1 kB\nMemAvailable: 2000 kB\n');
  return proc;
}

export interface Agent {
  readonly child: ChildProcess;
  said(): string;
  /** Process numbers of all that it has started and that still run. */
  family(): Promise<number[]>;
  /** Exit code of `agent.sh check` beside it. */
  check(): Promise<number>;
}

export function startAgent(shell: Shell, env: Readonly<Record<string, string>>): Agent {
  const whole = { PATH: shell.path, ...env };
  const child = spawn(shell.argv[0] ?? '', [...shell.argv.slice(1), AGENT], {
    env: whole,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return {
    child,
    said: () => said,
    family: () => familyOf(child.pid ?? 0),
    check: async () => {
      const probe = spawn(shell.argv[0] ?? '', [...shell.argv.slice(1), AGENT, 'check'], { env: whole });
      const [code] = (await once(probe, 'close')) as [number];
      return code;
    },
  };
}

async function familyOf(parent: number): Promise<number[]> {
  const family = [parent];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (ppid === parent && parent !== 0) family.push(...(await familyOf(Number(name))));
  }
  return family;
}
