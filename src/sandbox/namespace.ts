import { join } from 'node:path';
import { childrenOf, programOf, signalProcess, startBackground } from '../effects/background.ts';
import { until } from '../effects/clock.ts';
import { exists, readText } from '../effects/files.ts';
import { run } from '../effects/process.ts';
import { environmentOf, type Part } from './records.ts';

/** A set of namespaces (network, mounts, processes, host name) that lives as long as its first process. */
export interface Namespace {
  /** The first process, as the machine counts. */
  readonly pid: number;
  /** The argv that runs another one inside. */
  enter(argv: readonly string[]): string[];
  /** Runs a program inside and waits for it; throws with what it said if it fails. */
  inside(argv: readonly string[]): Promise<string>;
  /** Gives `ip` commands to the network inside; process numbers in them are the machine's. */
  links(commands: readonly string[]): Promise<void>;
}

const KINDS = ['--net', '--uts', '--mount', '--pid'];

/** Opens namespaces for a part; they and all that runs in them end with {@link destroyPart}. */
export async function openNamespace(part: Part): Promise<Namespace> {
  const outside = ['unshare', ...KINDS, '--propagation', 'slave', '--fork', '--kill-child=KILL', '--mount-proc', '--'];
  const log = join(part.folder, 'namespace.log');
  const holder = await startBackground([...outside, ...(await reaper()), 'sleep', 'infinity'], {
    env: environmentOf(part),
    log,
  });
  let first: number | undefined;
  await until(`the namespaces of ${part.id} (see ${log})`, 10_000, async () => {
    [first] = await childrenOf(holder);
    return first !== undefined && (await programOf(first)) !== 'unshare';
  });
  const pid = first ?? 0;
  const enter = (argv: readonly string[]): string[] => ['nsenter', '--target', String(pid), ...KINDS, '--', ...argv];
  return {
    pid,
    enter,
    inside: (argv) => must(enter(argv)),
    async links(commands) {
      const argv = ['nsenter', '--target', String(pid), '--net', '--', 'ip', '-batch', '-'];
      await must(argv, `${commands.join('\n')}\n`);
    },
  };
}

/** A program that goes on inside a namespace. */
export interface Daemon {
  signal(name: NodeJS.Signals): Promise<void>;
  ended(): Promise<boolean>;
}

/**
 * Starts a program inside a namespace and waits until it answers.
 *
 * @param log receives what it says
 * @throws an error with its last words if it ends or does not answer in time
 */
export async function startDaemon(
  part: Part,
  namespace: Namespace,
  argv: readonly string[],
  log: string,
  answers: () => Promise<boolean>,
): Promise<Daemon> {
  const waiter = await startBackground(namespace.enter(argv), { env: environmentOf(part), log });
  let gone = false;
  try {
    await until(`${argv[0]} to answer`, START_LIMIT, async () => {
      gone = (await programOf(waiter)) === null;
      return gone || answers();
    });
    if (gone) throw new Error(`${argv[0]} ended at once`);
  } catch (cause) {
    const words = ((await readText(log)) ?? '').trimEnd().split('\n').slice(-12).join('\n');
    throw new Error(words, { cause });
  }
  // Only the program itself counts: nsenter, which waits for it, stops when the program is stopped.
  return {
    async signal(name) {
      for (const pid of await childrenOf(waiter)) signalProcess(pid, name);
    },
    ended: async () => (await childrenOf(waiter)).length === 0,
  };
}

/** Milliseconds for a daemon to answer; they take less than one second on an idle machine. */
const START_LIMIT = 60_000;

/** Runs a program that has no reason to fail. */
export async function must(argv: readonly string[], input?: string): Promise<string> {
  const result = await run(argv, input === undefined ? {} : { input });
  if (result.code !== 0) throw new Error(`${argv.join(' ')} ended with ${result.code}: ${result.stderr.trim()}`);
  return result.stdout;
}

/** The init of a process namespace has to collect orphans, which containers leave in numbers. */
async function reaper(): Promise<string[]> {
  for (const program of ['/usr/bin/docker-init', '/usr/libexec/docker/docker-init', '/usr/bin/tini']) {
    if (await exists(program)) return [program, '--'];
  }
  return [];
}
