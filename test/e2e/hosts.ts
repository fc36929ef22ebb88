import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { childrenOf, programOf, signalProcess, startBackground } from '../../src/effects/background.ts';
import { until } from '../until.ts';
import type { Engine } from '../../src/sandbox/engine.ts';
import type { Outcome, Rig } from './rig.ts';

/**
 * A machine to log in to: its own engine, network, process numbers, host name, /etc, /root and /home, and a real sshd. What is
 * below /usr is the real machine's.
 */
export interface Host {
  readonly name: string;
  readonly engine: Engine;
  readonly address: string;
  readonly port: number;
  /** Path of a private key, on the machine that the tests run on, that root is let in with. */
  readonly identity: string;
  /** Root's password over there. */
  readonly password: string;
  /** `root@address`, as `worker add` takes it. */
  readonly destination: string;
  /** Its host key as it is pinned: `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  /** File with what its sshd says. */
  readonly log: string;
  /** Pulls its network cable out, and puts it back. */
  cut(): Promise<void>;
  restore(): Promise<void>;
  /** Runs a program over there as root, not over SSH. */
  sh(argv: readonly string[], options?: { readonly input?: string }): Promise<Outcome>;
  /** The same for one that must succeed; its output without the final newline. */
  must(argv: readonly string[], options?: { readonly input?: string }): Promise<string>;
  /** Makes another user, who is let in with the same key. */
  addUser(user: string, password?: string): Promise<void>;
  /** Ends its sshd (connections that are open stay), and starts it again. */
  closePort(): Promise<void>;
  openPort(): Promise<void>;
  /** Gives it another host key, as if it had been set up anew; returns that. */
  changeHostKey(): Promise<string>;
  /** Stops sshd and every session of it, so that connections stay but nobody answers; and lets them go on. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
}

const PORT = 22;
const PASSWORD = 'correct horse';
const CONFIG = `Port ${PORT}
HostKey /etc/ssh/host_key
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication yes
MaxStartups 1000
MaxSessions 1000
`;

/** Starts a host; it ends with the rig. */
export async function openHost(rig: Rig, name: string): Promise<Host> {
  const engine = await rig.sandbox.engine(name);
  const folder = join(rig.folder, 'hosts', name);
  await mkdir(folder, { recursive: true });
  const identity = join(folder, 'id_ed25519');
  await rig.must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'operator', '-f', identity]);
  const log = join(folder, 'sshd.log');
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' };

  async function sh(argv: readonly string[], options: { readonly input?: string } = {}): Promise<Outcome> {
    const [file = '', ...args] = engine.namespace.enter(argv);
    const result = await execa(file, args, {
      reject: false,
      extendEnv: false,
      env,
      cwd: '/',
      input: options.input ?? '',
    });
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  }
  async function must(argv: readonly string[], options?: { readonly input?: string }): Promise<string> {
    const result = await sh(argv, options);
    if (result.exitCode !== 0) throw new Error(`${name}: ${argv.join(' ')}: ${result.exitCode}\n${result.stderr}`);
    return result.stdout;
  }

  const publicKey = await rig.must(['cat', `${identity}.pub`]);
  const letIn = async (user: string, home: string): Promise<void> => {
    await must(['mkdir', '-p', `${home}/.ssh`]);
    await must(['tee', '-a', `${home}/.ssh/authorized_keys`], { input: `${publicKey}\n` });
    await must(['chown', '-R', user, home]);
  };
  const makeHostKey = async (): Promise<string> => {
    await must(['rm', '-f', '/etc/ssh/host_key', '/etc/ssh/host_key.pub']);
    await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', '/etc/ssh/host_key']);
    const [kind = '', body = ''] = (await must(['cat', '/etc/ssh/host_key.pub'])).split(' ');
    return `${kind} ${body}`;
  };
  const setPassword = async (user: string, password: string): Promise<void> => {
    await must(['chpasswd'], { input: `${user}:${password}\n` });
  };

  for (const home of ['/root', '/home']) await must(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', home]);
  await must(['tee', '-a', '/etc/hosts'], { input: `127.0.1.1 ${name}\n` });
  await must(['mkdir', '-p', '/etc/ssh', '/run/sshd']);
  await must(['tee', '/etc/ssh/sshd_config'], { input: CONFIG });
  await must(['usermod', '--shell', '/bin/bash', 'root']);
  await setPassword('root', PASSWORD);
  await letIn('root', '/root');
  let hostKey = await makeHostKey();
  let waiter = 0;

  async function openPort(): Promise<void> {
    const daemon = ['/usr/sbin/sshd', '-D', '-e', '-f', '/etc/ssh/sshd_config'];
    waiter = await startBackground(engine.namespace.enter(daemon), { env, log });
    await until(`sshd of ${name} (see ${log})`, () => answers(engine.address));
  }
  async function closePort(): Promise<void> {
    for (const pid of await childrenOf(waiter)) signalProcess(pid, 'SIGTERM');
    await until(`sshd of ${name} to end`, async () => (await programOf(waiter)) === null);
  }
  /** sshd and its sessions: everything of that name in there. */
  const signalAll = (signal: string): Promise<Outcome> => sh(['pkill', `-${signal}`, '-x', 'sshd']);

  await openPort();
  return {
    name,
    engine,
    address: engine.address,
    port: PORT,
    identity,
    password: PASSWORD,
    destination: `root@${engine.address}`,
    get hostKey() {
      return hostKey;
    },
    log,
    cut: engine.cut,
    restore: engine.restore,
    sh,
    must,
    async addUser(user, password = PASSWORD) {
      await must(['useradd', '--create-home', '--shell', '/bin/bash', user]);
      await setPassword(user, password);
      await letIn(user, `/home/${user}`);
    },
    openPort,
    closePort,
    async changeHostKey() {
      await closePort();
      hostKey = await makeHostKey();
      await openPort();
      return hostKey;
    },
    freeze: async () => void (await signalAll('STOP')),
    async thaw() {
      await signalAll('CONT');
      // What waits for a program that was stopped has stopped with it.
      signalProcess(waiter, 'SIGCONT');
    },
  };
}

/** Whether a server says that it speaks SSH. */
async function answers(address: string): Promise<boolean> {
  const socket = connect({ host: address, port: PORT });
  try {
    const [banner] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer];
    return banner.toString('latin1').startsWith('SSH-2.0');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
