import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { isRunning, killProcesses, ownIdentity, processesMarked, type ProcessIdentity } from '../effects/background.ts';
import { claim, releaseClaims } from '../effects/claims.ts';
import { until } from '../effects/clock.ts';
import { removeControlGroup } from '../effects/control-groups.ts';
import { listFolder, makeFolder, readText, remove, writeFileAtomic } from '../effects/files.ts';
import { run } from '../effects/process.ts';

/** Where records and folders of sandboxes are: a real file system, since engines keep their layers there. */
const SANDBOX_HOME = '/var/lib/xingrin/sandbox';

/** Addresses in use: one link each, to the part that has it. */
const CLAIMS = join(SANDBOX_HOME, 'claims');

/** Every process of a part carries this variable with the part's id, so that it can be found whatever happened to us. */
const MARK = 'XINGRIN_SANDBOX_PART';

/** A network or an engine: written down before anything of it exists, crossed out when nothing of it is left. */
export interface Part {
  /** Unique on this machine, short enough for the name of a network interface. */
  readonly id: string;
  readonly kind: 'network' | 'engine';
  /** Whose it is; null if it shall outlive its maker. */
  readonly owner: ProcessIdentity | null;
  /** Everything it keeps on disk. */
  readonly folder: string;
}

export async function registerPart(kind: Part['kind'], root?: string): Promise<Part> {
  await makeFolder(SANDBOX_HOME, 0o711);
  const id = `xr${randomBytes(4).toString('hex')}`;
  const part: Part = { id, kind, owner: await ownIdentity(), folder: root ?? join(SANDBOX_HOME, id) };
  await writeFileAtomic(recordOf(id), JSON.stringify(part));
  await makeFolder(part.folder, 0o711);
  await makeFolder(temporaryOf(part), 0o1777);
  return part;
}

/**
 * The environment of every process of a part: nothing of the caller's, only the way to programs. What they have in their
 * temporary folder when they are killed goes with the part.
 */
export function environmentOf(part: Part): Record<string, string> {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return { PATH: path, HOME: part.folder, TMPDIR: temporaryOf(part), [MARK]: part.id };
}

function temporaryOf(part: Part): string {
  return join(part.folder, 'tmp');
}

/** From now on the part goes on when its maker ends, and {@link sweep} leaves it alone. */
export async function disownPart(part: Part): Promise<void> {
  await writeFileAtomic(recordOf(part.id), JSON.stringify({ ...part, owner: null }));
}

/** Takes an address (or the first numbers of one) that no other part has; false if it is taken. Free again with the part's end. */
export async function claimAddress(address: string, part: Part): Promise<boolean> {
  await makeFolder(CLAIMS, 0o711);
  return claim(CLAIMS, address, part.id);
}

/**
 * Ends a part whatever state it is in. Its first process is the init of a process namespace and holds a network namespace: with
 * it the kernel ends all others, mounts, links and firewall rules. What stays is on disk and in the control groups.
 */
export async function destroyPart(part: Part): Promise<void> {
  // Again: what is killed may have started another one while we looked.
  for (let pids = await marked(part); pids.length > 0; pids = await marked(part)) await killProcesses(pids);
  // The kernel takes a moment to remove the link to a network that has ended; whoever looks next shall not see it.
  if (part.kind === 'network') await run(['ip', 'link', 'delete', part.id]);
  await until(`the control group of ${part.id} to become empty`, 10_000, () => removeControlGroup(part.id));
  await remove(part.folder);
  await releaseClaims(CLAIMS, part.id);
  await remove(recordOf(part.id));
}

function marked(part: Part): Promise<number[]> {
  return processesMarked(MARK, part.id);
}

/**
 * Removes what runs that were killed left behind, and nothing of those that still go on.
 *
 * @param options.kept also what was meant to outlive its maker: all of it, or the parts with these ids
 * @returns ids of what was removed
 */
export async function sweep(options: { readonly kept?: boolean | readonly string[] } = {}): Promise<string[]> {
  const { kept = false } = options;
  const removed: string[] = [];
  for (const part of await everyPart()) {
    const unwanted = typeof kept === 'boolean' ? kept : kept.includes(part.id);
    const stays = part.owner === null ? !unwanted : await isRunning(part.owner);
    if (stays) continue;
    await destroyPart(part);
    removed.push(part.id);
  }
  return removed;
}

/** What was meant to outlive its maker, and still is there. */
export async function keptParts(): Promise<Part[]> {
  return (await everyPart()).filter((part) => part.owner === null);
}

async function everyPart(): Promise<Part[]> {
  const parts: Part[] = [];
  for (const name of await listFolder(SANDBOX_HOME)) {
    if (name.startsWith('.') || !name.endsWith('.json')) continue;
    const text = await readText(join(SANDBOX_HOME, name));
    if (text !== null) parts.push(JSON.parse(text) as Part);
  }
  return parts;
}

function recordOf(id: string): string {
  return join(SANDBOX_HOME, `${id}.json`);
}
