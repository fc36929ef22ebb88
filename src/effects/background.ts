import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { until } from './clock.ts';

export interface BackgroundOptions {
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** File that receives both output streams; created or continued. */
  readonly log: string;
}

/** A process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between the start of the machine and the start of the process. */
  readonly started: string;
}

/**
 * Starts a program that goes on when we end: a session of its own, no terminal, output into a file.
 *
 * @returns its process number
 * @throws the system's error if it cannot be started
 */
export async function startBackground(argv: readonly string[], options: BackgroundOptions): Promise<number> {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error('startBackground: empty argv');
  const log = openSync(options.log, 'a', 0o600);
  try {
    const child = spawn(file, args, { detached: true, env: options.env, stdio: ['ignore', log, log] });
    await once(child, 'spawn');
    child.unref();
    if (child.pid === undefined) throw new Error(`startBackground: ${file} has no process number`);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Who we are, in words that stay true after our number was given to somebody else. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  return { pid: process.pid, started: (await startOf(process.pid)) ?? '' };
}

/** Whether that very process still runs; one that ended and was not collected yet does not. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await startOf(identity.pid)) === identity.started;
}

/** The direct children of a process that have not ended; empty if it has gone. */
export async function childrenOf(pid: number): Promise<number[]> {
  const numbers: number[] = [];
  for (const other of await everyProcess()) {
    const fields = await statOf(other);
    if (fields !== null && fields[STATE] !== 'Z' && Number(fields[PARENT]) === pid) numbers.push(other);
  }
  return numbers;
}

/** The name of the program that a process runs (15 characters at most), or null if it has gone. */
export async function programOf(pid: number): Promise<string | null> {
  return (await readProc(pid, 'comm'))?.trimEnd() ?? null;
}

/** All processes that were started with `NAME=value` in their environment, except ourselves. */
export async function processesMarked(name: string, value: string): Promise<number[]> {
  const mark = `${name}=${value}`;
  const marked: number[] = [];
  for (const pid of await everyProcess()) {
    if (pid === process.pid) continue;
    if ((await readProc(pid, 'environ'))?.split('\0').includes(mark)) marked.push(pid);
  }
  return marked;
}

/** Sends a signal; false if there is no such process (any more). */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Programs that end with the one child they wait for; killed first, they would leave it to nobody. */
const WAITERS = ['unshare', 'nsenter'];

/**
 * Kills these processes and waits until the kernel has let go of them.
 *
 * @throws an error naming them if some are left after ten seconds
 */
export async function killProcesses(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    if (!WAITERS.includes((await programOf(pid)) ?? '')) signalProcess(pid, 'SIGKILL');
  }
  await until(`processes ${pids.join(', ')} to end`, 10_000, async () => {
    const left = await runningOf(pids);
    for (const pid of left) if ((await childrenOf(pid)).length === 0) signalProcess(pid, 'SIGKILL');
    return left.length === 0;
  });
}

async function runningOf(pids: readonly number[]): Promise<number[]> {
  const starts = await Promise.all(pids.map(startOf));
  return pids.filter((_, index) => starts[index] !== null);
}

/** Positions in /proc/PID/stat after the name of the program: state is 0. */
const STATE = 0;
const PARENT = 1;
const START = 19;

async function startOf(pid: number): Promise<string | null> {
  const fields = await statOf(pid);
  return fields === null || fields[STATE] === 'Z' ? null : (fields[START] ?? null);
}

async function statOf(pid: number): Promise<string[] | null> {
  const text = await readProc(pid, 'stat');
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

async function readProc(pid: number, name: string): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}

async function everyProcess(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}
