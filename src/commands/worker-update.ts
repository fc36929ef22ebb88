import { fleetExecutors } from '../apply/fleet.ts';
import { fail, UserError } from '../domain/errors.ts';
import { findWorker, selectWorkers, type Worker } from '../domain/inventory.ts';
import { agentSpecFor } from '../observe/agent-spec.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { readInstalled } from '../observe/worker-images.ts';
import { observeWorkers } from '../observe/workers.ts';
import { planFollowing } from '../plan/fleet.ts';
import { makePlan } from '../plan/plan.ts';
import { perform, type Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';
import { FleetFailures } from './worker-failures.ts';

/** By name, or by patterns; neither: all of them. */
export interface WorkerChoice {
  readonly names: readonly string[];
  readonly hosts?: string;
}

/** Brings the images and agents of workers to the version of the main server. One that fails keeps no other from it. */
export async function workerUpdateCommand(session: Session, chosen: WorkerChoice): Promise<Report> {
  const project = await openProject(session.globals.project);
  return perform(session, project, 'worker update', () => propose(session, project, chosen));
}

async function propose(session: Session, project: Project, { names, hosts }: WorkerChoice): Promise<Proposal> {
  if (names.length > 0 && hosts !== undefined) {
    fail('USAGE', {
      en: 'workers are chosen by name or by --hosts, not by both',
      zh: '请用名称或 --hosts 之一选择 worker,不能同时使用',
    });
  }
  const installed = await readInstalled(project);
  const inventory = await readInventory(project);
  const chosen: readonly Worker[] =
    names.length === 0
      ? selectWorkers(inventory, hosts)
      : [...new Set(names.map((name) => findWorker(inventory, name)))];
  for (const worker of chosen) await agentSpecFor(project, worker, installed.version);
  const ring = keyRingOf(session, project);
  const views = await observeWorkers(chosen, ring, installed);
  const failures = new FleetFailures(session, chosen.length);
  const able = views.filter((view) => {
    if (view.status !== 'unreachable') return true;
    failures.add(view.worker.name, new UserError('UNREACHABLE', view.reason ?? { en: '?', zh: '?' }));
    return false;
  });
  const late = able.filter(({ status, missing }) => status !== 'online' || missing.length > 0);
  const following = planFollowing(
    late.map(({ worker }) => worker),
    installed.images,
    installed.version,
  );
  return {
    plan: makePlan({
      command: 'worker update',
      from: installed.version,
      to: installed.version,
      commit: null,
      steps: [...following.before, ...following.after],
    }),
    executors: fleetExecutors(project, { ring, failed: (host, error) => failures.add(host, error) }),
    report: async () =>
      failures.check({ data: { version: installed.version, workers: chosen.map(({ name }) => name) } }),
  };
}
