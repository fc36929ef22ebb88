import { MAIN_ID } from '../domain/inventory.ts';
import { same, type Text } from '../domain/text.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import { localWorkerName, readInventory } from './inventory.ts';
import type { Project } from './project.ts';
import type { Status } from './status.ts';
import { installedOrNull } from './worker-images.ts';
import { observeWorkers, type WorkerView } from './workers.ts';

/** A host that runs tasks, as people and other programs are told of it (contract: `workers` of `status`). */
export interface FleetMember {
  readonly id: number;
  readonly name: string;
  readonly host: string;
  readonly local: boolean;
  readonly status: WorkerView['status'];
  readonly version: string | null;
  readonly reason: Text | null;
  /** When its agent was known to be heard; ISO 8601. */
  readonly lastSeen: string | null;
}

/** The main server's own agent, then every worker of the inventory, asked side by side over SSH. */
export async function observeFleet(
  project: Project,
  status: Status,
  ring: KeyRing,
  now: () => Date,
): Promise<FleetMember[]> {
  const [{ workers }, name, installed] = await Promise.all([
    readInventory(project),
    localWorkerName(project),
    installedOrNull(project),
  ]);
  const views = await observeWorkers(workers, ring, installed);
  const seen = now().toISOString();
  const local = localMember(status, name, seen);
  return [...(local === null ? [] : [local]), ...views.map((view) => memberOf(view, seen))];
}

/** The service `agent` of the stack; null for a stack without one. */
function localMember({ services, imageTag }: Status, name: string, seen: string): FleetMember | null {
  const agent = services.find(({ service }) => service === 'agent');
  if (agent === undefined) return null;
  const version = /:([^:/@]+)$/.exec(agent.image ?? '')?.[1] ?? null;
  const well = agent.state === 'running' && (agent.health === null || agent.health === 'healthy');
  const status = !well ? 'offline' : version === imageTag ? 'online' : 'outdated';
  return {
    id: MAIN_ID,
    name,
    host: 'localhost',
    local: true,
    status,
    version,
    reason: well ? null : same(agent.health ?? agent.state),
    lastSeen: well ? seen : null,
  };
}

function memberOf({ worker, status, version, reason, missing }: WorkerView, seen: string): FleetMember {
  const { id, name, host } = worker;
  const lacks: Text = { en: `not there: ${missing.join(', ')}`, zh: `缺少镜像:${missing.join('、')}` };
  const told = reason ?? (missing.length > 0 ? lacks : null);
  const behind = status === 'online' && missing.length > 0;
  return {
    id,
    name,
    host,
    local: false,
    status: behind ? 'outdated' : status,
    version,
    reason: told,
    lastSeen: status === 'online' ? seen : null,
  };
}

/**
 * The status with its workers. One that is not as the main server wants it is a difference; one that cannot be reached, that is being
 * updated, or that was only written into the inventory, is none.
 */
export function withFleet(
  status: Status,
  members: readonly FleetMember[],
): Status & { readonly workers: readonly FleetMember[] } {
  const behind = members.filter((each) => !each.local && ['outdated', 'offline'].includes(each.status));
  const differences = behind.map(({ name, reason }): Text => {
    const why = reason ?? same('?');
    return { en: `${name}: ${why.en}`, zh: `${name}:${why.zh}` };
  });
  const names = behind.map(({ name }) => name).join(' ');
  return {
    ...status,
    workers: members,
    consistent: status.consistent && behind.length === 0,
    differences: [...status.differences, ...differences],
    next: status.next ?? (behind.length === 0 ? null : same(`xingrin worker update ${names}`)),
  };
}
