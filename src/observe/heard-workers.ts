import { join } from 'node:path';
import * as z from 'zod';
import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { jsonOrNull } from '../domain/json.ts';
import { UserError } from '../domain/errors.ts';
import { same, type Language, type Text } from '../domain/text.ts';
import { trustedAuthority } from '../effects/certificate.ts';
import { readText } from '../effects/files.ts';
import { enter } from '../effects/front-door.ts';
import type { Worker } from '../domain/inventory.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import type { Machine } from '../effects/machine.ts';
import { readInventory } from './inventory.ts';
import type { Placing } from './loads.ts';
import type { Project } from './project.ts';
import { readInstalled, type Installed } from './worker-images.ts';
import { observeWorkers, type WorkerView } from './workers.ts';

/** A worker as it is now. */
export interface ObservedWorker {
  readonly id: number;
  readonly name: string;
  /** Where it is reached over SSH; null for the main server and for agents that only registered. */
  readonly host: string | null;
  readonly local: boolean;
  /** The control plane's word (contract, section 5); `unreachable` where only SSH could be asked. */
  readonly status: string;
  /** Of its agent. */
  readonly version: string | null;
  /** Why it is not as it should be. */
  readonly reason: Text | null;
  /** ISO 8601; null where the control plane was not asked, or never heard it. */
  readonly lastSeen: string | null;
  /** Percent. */
  readonly cpu: number | null;
  readonly memory: number | null;
}

export interface ObservedFleet {
  readonly workers: readonly ObservedWorker[];
  /** Who was asked: the control plane, or the hosts themselves, since it did not answer. */
  readonly source: 'server' | 'ssh';
}

/** Milliseconds for the control plane's answer, at each address at which it may be found. */
const ANSWER_LIMIT = 3_000;

const answerSchema = z.object({
  workers: z.array(
    z.object({
      id: z.number(),
      name: z.string(),
      host: z.string().nullable(),
      is_local: z.boolean(),
      status: z.string(),
      version: z.string().nullable(),
      cpu_percent: z.number().nullable(),
      memory_percent: z.number().nullable(),
      last_seen: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ),
});

/**
 * Every worker, with reasons in a language: as the control plane has heard it, or, where that does not answer, as the hosts
 * themselves say over SSH.
 *
 * @param among declared workers that are asked over SSH; all if absent
 */
export async function observeFleet(
  project: Project,
  ring: KeyRing,
  language: Language,
  among?: readonly Worker[],
): Promise<ObservedFleet> {
  const heard = await hearControlPlane(project, language);
  if (heard !== null) return { workers: heard, source: 'server' };
  const [{ workers }, installed] = await Promise.all([readInventory(project), installedOrNull(project)]);
  const views = await observeWorkers(among ?? workers, ring, installed);
  return { workers: views.map(askedWorker), source: 'ssh' };
}

/**
 * How busy these machines are, as the control plane has heard it; null if it does not answer. One that it does not hear is not known to be
 * busy: it comes after all others, and is asked itself before it gets a task, as everybody is.
 */
export async function heardPlacings(
  project: Project,
  machines: readonly Machine[],
  language: Language,
): Promise<readonly Placing[] | null> {
  const heard = await hearControlPlane(project, language);
  if (heard === null) return null;
  const byId = new Map(heard.map((worker) => [worker.id, worker]));
  return machines.map((machine) => {
    const { status, cpu, memory, lastSeen } = byId.get(machine.id) ?? {};
    const known = status !== 'offline' && typeof cpu === 'number' && typeof memory === 'number';
    return {
      machine,
      load: known ? { cpu, memory } : null,
      measured: new Date(lastSeen ?? 0),
      answered: false,
    };
  });
}

async function installedOrNull(project: Project): Promise<Installed | null> {
  try {
    return await readInstalled(project);
  } catch (error) {
    if (error instanceof UserError && error.code === 'PRECONDITION') return null;
    throw error;
  }
}

function askedWorker({ worker: { id, name, host }, status, version, reason }: WorkerView): ObservedWorker {
  return { id, name, host, local: false, status, version, reason, lastSeen: null, cpu: null, memory: null };
}

/** What the control plane behind the front door knows; null if nobody answers there. Its certificate is verified, as ever. */
async function hearControlPlane(project: Project, language: Language): Promise<ObservedWorker[] | null> {
  const text = await readText(project.envFile);
  if (text === null) return null;
  const env = parseEnvFile(text, project.envFile);
  const token = envValue(env, 'ADMIN_TOKEN') ?? '';
  if (token === '') return null;
  const authority = await trustedAuthority(join(project.composeDirectory, 'nginx', 'ssl'));
  const port = Number(envValue(env, 'PUBLIC_PORT') || 8083);
  const hosts = new Set(['localhost', envValue(env, 'PUBLIC_HOST') || 'localhost']);
  for (const host of hosts) {
    const door = { host, port, authority, signal: new AbortController().signal };
    const answer = await enter(door, '/api/workers/', token, ANSWER_LIMIT, language);
    const read = answer === null ? null : answerSchema.safeParse(jsonOrNull(answer));
    if (read?.success === true) return read.data.workers.map(heardWorker);
  }
  return null;
}

function heardWorker(seen: z.infer<typeof answerSchema>['workers'][number]): ObservedWorker {
  const { id, name, host, status, version, reason } = seen;
  return {
    id,
    name,
    host,
    local: seen.is_local,
    status,
    version,
    reason: reason === null ? null : same(reason),
    lastSeen: seen.last_seen,
    cpu: seen.cpu_percent,
    memory: seen.memory_percent,
  };
}
