import { deploymentExecutors } from '../apply/deployment.ts';
import { fleetExecutors } from '../apply/fleet.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { movableCheckout, type Checkout, type Target } from '../observe/target.ts';
import { observeDeployment, type DeploymentFacts, type DeploymentOptions } from '../observe/deployment.ts';
import type { Project } from '../observe/project.ts';
import { observeFleet, withFleet, type FleetMember } from '../observe/fleet-status.ts';
import { observeStatus, type Status } from '../observe/status.ts';
import { workerImages } from '../observe/worker-images.ts';
import { observeWorkers } from '../observe/workers.ts';
import { readInventory } from '../observe/inventory.ts';
import { UserError } from '../domain/errors.ts';
import { planDeployment, type FleetRollout } from '../plan/deployment.ts';
import { renderStatus } from '../ui/status.ts';
import type { Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';
import { FleetFailures } from './worker-failures.ts';

/** What install, update, rollback and start share: from a target to a proposal. */
export async function proposeDeployment(
  session: Session,
  project: Project,
  command: string,
  target: Target,
  options: DeploymentOptions,
): Promise<Proposal & { readonly facts: DeploymentFacts }> {
  const facts = await observeDeployment(project, target, await checkoutFor(project, target), options);
  if (target.lock === null && facts.images.some((image) => image.missing)) {
    session.warn({
      en: `${target.version} has no release lock: its images cannot be verified`,
      zh: `${target.version} 没有发布清单,无法核对其镜像`,
    });
  }
  if (command === 'install' && facts.env.publicSecrets.length > 0) {
    const keys = facts.env.publicSecrets.join(', ');
    session.warn({
      en: `${keys} in docker/.env: the value is the one that .env.example shows to everybody; choose your own`,
      zh: `docker/.env 中的 ${keys} 仍是 .env.example 里公开的值,请改为您自己的值`,
    });
  }
  const { workers } = await readInventory(project);
  const failures = new FleetFailures(session, workers.length);
  const rollout = options.deploys ? await rolloutFor(session, project, facts, failures) : { images: [], workers: [] };
  const fleet = fleetExecutors(project, {
    ring: keyRingOf(session, project),
    failed: (host, error) => failures.add(host, error),
  });
  return {
    facts,
    plan: planDeployment(command, facts, rollout),
    executors: { ...deploymentExecutors(project, session.now), ...fleet },
    report: async () => failures.check(await reportStatus(session, project), true),
  };
}

/** The workers that have to follow. Those that are away are told now, and keep nobody from anything. */
async function rolloutFor(
  session: Session,
  project: Project,
  facts: DeploymentFacts,
  failures: FleetFailures,
): Promise<FleetRollout> {
  const { workers } = await readInventory(project);
  const { version, lock } = facts.target;
  const images = workerImages(project, parseEnvFile(facts.env.text, project.envFile), version, lock);
  if (workers.length === 0) return { images, workers };
  const views = await observeWorkers(workers, keyRingOf(session, project), { version, images, platforms: null });
  const behind = views.filter(({ worker, status, reason, version: runs, missing }) => {
    if (status === 'pending') {
      const { name } = worker;
      session.warn({
        en: `${name} has no agent and is left as it is; next: xingrin worker update ${name}`,
        zh: `${name} 没有 agent,保持原样;可执行:xingrin worker update ${name}`,
      });
      return false;
    }
    if (runs === null) failures.add(worker.name, new UserError('UNREACHABLE', reason ?? { en: '?', zh: '?' }));
    return runs !== null && (status !== 'online' || missing.length > 0);
  });
  return { images, workers: behind.map(({ worker }) => worker) };
}

/** Where the files are; only where they have to move does it matter whether they may. */
async function checkoutFor(project: Project, target: Target): Promise<Checkout | null> {
  const { git } = project;
  if (git === null) return null;
  const commit = await git.commitOf('HEAD');
  if (target.commit === null || target.commit === commit)
    return commit === null ? null : { commit, branch: await git.branch() };
  return movableCheckout(project, git);
}

/** What is true now, for the end of a command that changed something. */
export async function reportStatus(session: Session, project: Project): Promise<Report> {
  const status = await readStatus(session, project);
  return { data: statusData(status, session), text: renderStatus(status, session.terminal.language, session.paint) };
}

/** What is asked for and what runs, on the main server and on every worker. */
export async function readStatus(session: Session, project: Project): Promise<ReturnType<typeof withFleet>> {
  const status = await observeStatus(project);
  return withFleet(status, await observeFleet(project, status, keyRingOf(session, project), session.now));
}

/** The `data` of `status`, as the contract has it. */
export function statusData(
  status: Status & { readonly workers: readonly FleetMember[] },
  { terminal }: Session,
): Report['data'] {
  const { version, imageTag, consistent, services } = status;
  const workers = status.workers.map(({ reason, ...rest }) => ({
    ...rest,
    reason: reason === null ? null : terminal.text(reason),
  }));
  return { version, imageTag, consistent, services, workers };
}
