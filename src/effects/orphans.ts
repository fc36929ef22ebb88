import { randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** The variable by which the children of a xingrin process can be recognised after its death. */
const MARK = 'XINGRIN_PROCESS';

const POLL = 20;

/** Marks this process's future children; returns the mark. */
export function markChildren(): string {
  const mark = randomUUID();
  process.env[MARK] = mark;
  return mark;
}

/**
 * Ends what a killed operation left running (a `docker compose up` outlives its parent) and waits until it is gone. Reads
 * /proc; where there is none, there is nothing we could find.
 */
export async function endOrphans(mark: string): Promise<void> {
  for (let pids = await orphansOf(mark); pids.length > 0; pids = await orphansOf(mark)) {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone between the look and the kill.
      }
    }
    await pause(POLL);
  }
}

async function orphansOf(mark: string): Promise<number[]> {
  const wanted = `${MARK}=${mark}`;
  const names = await readdir('/proc').catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      if (pid === process.pid) return false;
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return environment.split('\0').includes(wanted);
    }),
  );
  return pids.filter((_pid, index) => found[index]);
}
