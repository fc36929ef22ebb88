import { fleetExecutors } from '../apply/fleet.ts';
import type { Executors } from '../apply/step.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { UserError } from '../domain/errors.ts';
import type { DeploymentFacts } from '../observe/deployment.ts';
import { readInventory } from '../observe/inventory.ts';
import type { Project } from '../observe/project.ts';
import { workerImages } from '../observe/worker-images.ts';
import { observeWorkers } from '../observe/workers.ts';
import { planFollowing, type Following } from '../plan/fleet.ts';
import type { Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';
import { FleetFailures } from './worker-failures.ts';

/** What a deployment does on the workers. */
export interface FleetPart {
  readonly following: Following;
  readonly executors: Executors;
  readonly failures: FleetFailures;
}

/** Looks at every declared worker, and plans what it needs to follow the target. One that cannot be reached is told, and left out. */
export async function fleetPart(session: Session, project: Project, facts: DeploymentFacts): Promise<FleetPart> {
  const { version, lock } = facts.target;
  const { workers } = await readInventory(project);
  const ring = keyRingOf(session, project);
  const failures = new FleetFailures(session, workers.length);
  const env = parseEnvFile(facts.env.text, project.envFile);
  const images = workers.length === 0 ? [] : workerImages(project, env, version, lock);
  const views = await observeWorkers(workers, ring, { version, images, platforms: null });
  for (const { worker, status, reason } of views) {
    if (status === 'unreachable')
      failures.add(worker.name, new UserError('UNREACHABLE', reason ?? { en: 'it is away', zh: '无法连接' }));
  }
  const late = views.filter(({ worker, status, missing }) => {
    // Somebody wrote it into the inventory only, or took its agent away: an update brings nobody an agent.
    if (status === 'pending') warnOfNoAgent(session, worker.name);
    return !['pending', 'unreachable'].includes(status) && (status !== 'online' || missing.length > 0);
  });
  return {
    following: planFollowing(
      late.map(({ worker }) => worker),
      images,
      version,
    ),
    executors: fleetExecutors(project, { ring, failed: (host, error) => failures.add(host, error) }),
    failures,
  };
}

function warnOfNoAgent(session: Session, name: string): void {
  session.warn({
    en: `${name} has no agent and is left as it is; next: xingrin worker update ${name}`,
    zh: `${name} 没有 agent,保持原样;可执行:xingrin worker update ${name}`,
  });
}
