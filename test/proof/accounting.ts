import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackDebian } from '../../src/sandbox/debian.ts';

/** What all processes of one program cost together. */
export interface ProgramCost {
  readonly program: string;
  readonly starts: number;
  /** Of processor time, its own and the kernel's for it. */
  readonly seconds: number;
}

/** Ticks a second in accounting records and in /proc/stat: what the kernel tells programs, on every platform that Node runs on. */
const TICKS = 100;

/** One record, version 3 (struct acct_v3 in linux/acct.h): its length and where in it things are. */
const RECORD = { length: 64, userTime: 32, systemTime: 34, name: 48 } as const;

/**
 * Lets the kernel write a record for each process of the machine that ends.
 *
 * @param folder for the records
 * @returns what stops it and reads them; or why there is nothing, where the kernel or the package sources do not have it
 */
export async function startAccounting(
  folder: string,
): Promise<{ readonly stop: () => ProgramCost[] } | { readonly missing: string }> {
  const file = join(folder, 'accounting');
  let accton: string;
  try {
    accton = join(await unpackDebian(['acct']), 'usr/sbin/accton');
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
  writeFileSync(file, '');
  const started = spawnSync(accton, [file], { encoding: 'utf8' });
  if (started.status !== 0) return { missing: started.error?.message ?? started.stderr.trim() };
  return {
    stop() {
      spawnSync(accton, ['off']);
      return byProgram(readFileSync(file));
    },
  };
}

/** Starts and processor time by program, the most expensive first. */
export function byProgram(records: Buffer): ProgramCost[] {
  const found = new Map<string, ProgramCost>();
  for (let at = 0; at + RECORD.length <= records.length; at += RECORD.length) {
    const program = programOf(records.toString('latin1', at + RECORD.name, at + RECORD.length));
    const user = uncompressed(records.readUInt16LE(at + RECORD.userTime));
    const system = uncompressed(records.readUInt16LE(at + RECORD.systemTime));
    const before = found.get(program) ?? { program, starts: 0, seconds: 0 };
    found.set(program, {
      program,
      starts: before.starts + 1,
      seconds: before.seconds + (user + system) / TICKS,
    });
  }
  return [...found.values()].toSorted((a, b) => b.seconds - a.seconds);
}

/** 13 bits of a number, and 3 that say how often it was divided by 8. */
function uncompressed(value: number): number {
  return (value & 0x1fff) * 8 ** (value >> 13);
}

/** Some programs write what they do into their names. */
function programOf(field: string): string {
  const [name = ''] = field.split('\0');
  if (name.startsWith('node (vitest')) return 'node (tests)';
  if (name.startsWith('npm ')) return 'npm';
  if (name.startsWith('runc:')) return 'runc';
  // What dockerd starts of itself: /proc/self/exe.
  return name === 'exe' ? 'dockerd (helpers)' : name;
}

/** How busy the processors were. */
export interface Load {
  readonly processors: number;
  /** Share of their time. */
  readonly busy: number;
  /** Share of the seconds in which all of them worked, to 95 % and more. */
  readonly full: number;
}

/** Watches how busy the processors are, once a second. */
export function watchProcessors(): { stop(): Load } {
  const start = counters();
  let last = start;
  let seconds = 0;
  let full = 0;
  const timer = setInterval(() => {
    const now = counters();
    seconds += 1;
    if (busy(last, now) >= 0.95) full += 1;
    last = now;
  }, 1_000);
  return {
    stop() {
      clearInterval(timer);
      return { processors: start.processors, busy: busy(start, counters()), full: full / Math.max(1, seconds) };
    },
  };
}

interface Counters {
  readonly all: number;
  readonly idle: number;
  readonly processors: number;
}

function counters(): Counters {
  const lines = readFileSync('/proc/stat', 'utf8').split('\n');
  const [, user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0, steal = 0] = (lines[0] ?? '')
    .split(/ +/)
    .map(Number);
  return {
    all: user + nice + system + idle + waiting + irq + softirq + steal,
    idle: idle + waiting,
    processors: lines.filter((line) => /^cpu\d/.test(line)).length,
  };
}

function busy(from: Counters, to: Counters): number {
  return to.all === from.all ? 0 : 1 - (to.idle - from.idle) / (to.all - from.all);
}
