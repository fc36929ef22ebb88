import type { Load } from './schedule.ts';

/**
 * The load between two samples, from the lines `cpu …` of /proc/stat and `MemTotal: …`, `MemAvailable: …` of /proc/meminfo; null where
 * they are missing or make no sense.
 */
export function loadFromProc(text: string): Load | null {
  const lines = text.split('\n');
  const [before, after] = lines.filter((line) => line.startsWith('cpu ')).map(processorTimes);
  const total = kilobytes(lines, 'MemTotal:');
  const available = kilobytes(lines, 'MemAvailable:');
  if (before === undefined || after === undefined || total === null || available === null || total === 0) return null;
  const all = after.all - before.all;
  const idle = after.idle - before.idle;
  // Nothing counted between the samples: nothing was done.
  const cpu = all === 0 ? 0 : (100 * (all - idle)) / all;
  const memory = (100 * (total - available)) / total;
  return [cpu, memory].every((percent) => percent >= 0 && percent <= 100) ? { cpu, memory } : null;
}

/** In the kernel's ticks. Time that waits for a disk counts as idle; time as somebody's guest is in `user` already. */
function processorTimes(line: string): { all: number; idle: number } {
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, each) => sum + each, 0), idle: (ticks[3] ?? NaN) + (ticks[4] ?? 0) };
}

function kilobytes(lines: readonly string[], key: string): number | null {
  const value = Number(lines.find((line) => line.startsWith(key))?.split(/\s+/)[1]);
  return Number.isFinite(value) ? value : null;
}
