import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { announced, endProcess } from '../argv/remote-process.ts';
import { sshArgv, sshConfig, knownHosts } from '../argv/ssh.ts';
import { shellCommand } from '../argv/shell-quote.ts';
import { UserError } from '../domain/errors.ts';
import { same } from '../domain/text.ts';
import { ConnectionPool, type KeptConnection } from './connection-pool.ts';
import type { KeyRing } from './key-ring.ts';
import { run } from './process.ts';
import { announcedOutput, collect } from './remote-output.ts';
import { writeFileAtomic } from './files.ts';
import {
  commandTimeout,
  CONNECT_LIMIT,
  hostKeyUnknown,
  interrupted,
  KEEPALIVE_COUNT,
  KEEPALIVE_INTERVAL,
  loginRefused,
  unreachable,
  type ExecOptions,
  type ExecResult,
  type Host,
  type Transport,
} from './transport.ts';

/** Milliseconds for what the program does here on its own: to end, or to say whether a connection is there. */
const OWN_LIMIT = 5_000;
/** A connection through other servers has to be made to each of them in turn. */
const connectLimit = (host: Host): number => CONNECT_LIMIT * (host.jumps.length + 1) + OWN_LIMIT;
/** The program's own exit code, which a command over there may have as well. */
const OWN_FAILURE = 255;

/**
 * The transport that runs the `ssh` program: for keys and ways that only it knows (security keys, Kerberos, ProxyCommand). What
 * ~/.ssh/config says counts, after our own settings: pinned host keys alone, nothing forwarded, nobody asked. One connection a host is
 * kept and shared by all commands.
 */
export function openProgramTransport(ring: KeyRing): Transport {
  let folder: Promise<string> | undefined;
  let count = 0;
  const pool = new ConnectionPool(async (host) => {
    folder ??= mkdtemp(join(tmpdir(), 'xingrin-ssh-'));
    return ProgramConnection.open(host, ring, await folder, (count += 1));
  });
  return {
    connect: (host) => pool.connect(host),
    async close() {
      await pool.close();
      if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
    },
  };
}

class ProgramConnection implements KeptConnection {
  readonly #host: Host;
  readonly #config: string;
  readonly #log: string;

  private constructor(host: Host, config: string, log: string) {
    this.#host = host;
    this.#config = config;
    this.#log = log;
  }

  static async open(host: Host, ring: KeyRing, folder: string, number: number): Promise<ProgramConnection> {
    for (const at of [...host.jumps, host]) if (at.hostKey === null) throw hostKeyUnknown(host, at);
    const [config, known, log] = ['config', 'known', 'log'].map((name) => join(folder, `${number}.${name}`)) as [
      string,
      string,
      string,
    ];
    await writeFileAtomic(known, knownHosts([...host.jumps, host]), { mode: 0o600 });
    const text = sshConfig({
      host,
      keys: ring.keyFiles([host, ...host.jumps]),
      knownHosts: known,
      // A connection that was made under other host keys is not shared.
      controlPath: join(folder, `${number}-%C`),
      connectLimit: CONNECT_LIMIT / 1_000,
      keepalive: { interval: KEEPALIVE_INTERVAL / 1_000, count: KEEPALIVE_COUNT },
      others: [join(homedir(), '.ssh', 'config'), '/etc/ssh/ssh_config'],
    });
    await writeFileAtomic(config, text, { mode: 0o600 });
    await appendFile(log, '');
    const connection = new ProgramConnection(host, config, log);
    await connection.#logIn(ring);
    return connection;
  }

  async #logIn(ring: KeyRing): Promise<void> {
    const limit = connectLimit(this.#host);
    const { code } = await this.#ssh(['-N', '-f'], [], { timeout: limit });
    if (code === 0) return;
    let said = (await readFile(this.#log, 'utf8')).trim();
    // Of servers on the way a shared connection says nothing at all.
    if (this.#host.jumps.length > 0 && code !== 127)
      said += (await this.#ssh(['-S', 'none'], ['true'], { timeout: limit })).stderr;
    if (code === 127) throw unreachable(this.#host, 'no ssh program');
    const failure = failureOf(this.#host, code === 124 ? 'Connection timed out' : said);
    // The program passes such a key over without a word, since it may ask nobody.
    const locked = failure.code === 'AUTHENTICATION' ? await ring.lockedFile([this.#host, ...this.#host.jumps]) : null;
    throw locked === null ? failure : keyIsLocked(this.#host, locked);
  }

  async isAlive(): Promise<boolean> {
    return (await this.#ssh(['-O', 'check'], [], { timeout: OWN_LIMIT })).code === 0;
  }

  async exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult> {
    if (options.signal?.aborted === true) throw interrupted(this.#host);
    const stdout = collect(options, 'stdout');
    const announcement = announcedOutput(stdout.take);
    const stderr = collect(options, 'stderr');
    const stop = new AbortController();
    let stopped: UserError | null = null;
    const end = async (error: UserError, signal: 'TERM' | 'KILL'): Promise<void> => {
      if (stopped !== null) return;
      stopped = error;
      // The program only leaves; the command over there has to be told.
      const pid = announcement.pid();
      if (pid !== null) await this.#ssh([], endProcess(pid, signal), { timeout: OWN_LIMIT });
      stop.abort();
    };
    const late = setTimeout(() => void end(commandTimeout(this.#host, argv, options.timeout), 'KILL'), options.timeout);
    const onAbort = (): void => void end(interrupted(this.#host), 'TERM');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const { code } = await this.#ssh([], announced(argv), {
        input: options.input ?? '',
        ...(options.holdInput === true ? { holdInput: true } : {}),
        signal: stop.signal,
        onOutput(chunk, stream) {
          (stream === 'stderr' ? stderr : announcement).take(Buffer.from(chunk));
        },
      });
      if (stopped !== null) throw stopped as UserError;
      // Without the announcement nothing ran; with it, the code is the command's own unless the connection is gone.
      if (announcement.pid() === null || (code === OWN_FAILURE && !(await this.isAlive())))
        throw unreachable(this.#host, 'lost');
      return { code, stdout: stdout.end(), stderr: stderr.end() };
    } finally {
      clearTimeout(late);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    await this.#ssh(['-O', 'exit'], [], { timeout: OWN_LIMIT });
  }

  #ssh(flags: readonly string[], argv: readonly string[], options: Parameters<typeof run>[1]): ReturnType<typeof run> {
    const command = argv.length === 0 ? [] : [shellCommand(argv)];
    const env = { ...process.env, LC_ALL: 'C' };
    return run(sshArgv(this.#host, this.#config, this.#log, flags, command), { ...options, env });
  }
}

/** What went wrong, from what the program said in its own, untranslated words. */
function failureOf(host: Host, said: string): UserError {
  if (/REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No \S+ host key is known/.test(said)) {
    return new UserError(
      'HOST_KEY',
      {
        en: `the host key of ${host.name}, or of a server on the way there, is not the pinned one; nothing was sent`,
        zh: `${host.name}(或途经的服务器)的主机密钥与已登记的不符;未发送任何内容`,
      },
      {
        host: host.name,
        evidence: said,
        hint: {
          en: `if that machine was set up anew: xingrin worker remove ${host.name} --force, then worker add again; if not, somebody may be listening in`,
          zh: `若该主机确已重装:先 xingrin worker remove ${host.name} --force 再重新添加;否则可能有人在中间窃听`,
        },
      },
    );
  }
  if (/Permission denied|Too many authentication failures/.test(said)) return loginRefused(host, host, ['ssh']);
  const [, reason = 'protocol'] = REASONS.find(([words]) => said.includes(words)) ?? [];
  return unreachable(host, reason, said);
}

function keyIsLocked(host: Host, path: string): UserError {
  return new UserError(
    'AUTHENTICATION',
    {
      en: `${host.name} refused the login; the key ${path} has a passphrase, and ssh may not ask for it here`,
      zh: `${host.name} 拒绝登录;密钥 ${path} 设有口令,而 ssh 在此不能询问`,
    },
    { host: host.name, hint: same(`ssh-add ${path}`) },
  );
}

const REASONS: readonly (readonly [string, string])[] = [
  ['Connection refused', 'ECONNREFUSED'],
  ['Could not resolve hostname', 'ENOTFOUND'],
  ['No route to host', 'EHOSTUNREACH'],
  ['Network is unreachable', 'ENETUNREACH'],
  ['timed out', 'silent'],
];
