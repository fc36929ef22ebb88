import { deploymentExecutors } from '../apply/deployment.ts';
import { movableCheckout, type Checkout, type Target } from '../observe/target.ts';
import { observeDeployment, type DeploymentFacts, type DeploymentOptions } from '../observe/deployment.ts';
import type { Project } from '../observe/project.ts';
import { observeStatus, type Status } from '../observe/status.ts';
import { observeFleet } from '../observe/heard-workers.ts';
import { planDeployment } from '../plan/deployment.ts';
import { withFollowing } from '../plan/fleet.ts';
import { renderStatus } from '../ui/status.ts';
import { fleetPart } from './fleet-part.ts';
import type { Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** What install, update, rollback and start share: from a target to a proposal. */
export async function proposeDeployment(
  session: Session,
  project: Project,
  command: string,
  target: Target,
  options: DeploymentOptions,
): Promise<Proposal & { readonly facts: DeploymentFacts }> {
  const facts = await observeDeployment(project, target, await checkoutFor(project, target), options);
  if (target.lock === null && !facts.development && facts.images.some((image) => image.missing)) {
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
  if (facts.env.replaced !== null) {
    session.warn({
      en: `TASK_EXECUTOR_IMAGE was ${facts.env.replaced}; leaving development mode empties it, xingrin backup list has it`,
      zh: `TASK_EXECUTOR_IMAGE 原为 ${facts.env.replaced};退出开发模式后将为空,可在 xingrin backup list 中找回`,
    });
  }
  const plan = planDeployment(command, facts);
  const executors = deploymentExecutors(project, session.now);
  // Workers cannot have what is built here.
  if (!options.deploys || facts.development)
    return { facts, plan, executors, report: () => reportStatus(session, project) };
  const fleet = await fleetPart(session, project, facts);
  return {
    facts,
    plan: withFollowing(plan, fleet.following),
    executors: { ...executors, ...fleet.executors },
    report: async () => fleet.failures.check(await reportStatus(session, project), true),
  };
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
  const { workers, source } = await observeFleet(project, keyRingOf(session, project), session.terminal.language);
  if (source === 'ssh' && workers.length > 0) session.warn(NO_SERVER);
  const status = await observeStatus(project, workers);
  const { columns, language } = session.terminal;
  return { data: statusData(status, session), text: renderStatus(status, columns, language, session.paint) };
}

/** Said where the fallback was taken. */
export const NO_SERVER = {
  en: 'the control plane does not answer: the workers were asked over SSH',
  zh: '控制面没有响应:已通过 SSH 询问各 worker',
};

/** The `data` of `status`, as the contract has it. */
function statusData(status: Status, { terminal }: Session): Report['data'] {
  const { version, imageTag, development, consistent, services, leftOut } = status;
  const workers = status.workers.map((worker) => {
    const { id, name, host, local, status: state, version: own, reason, lastSeen } = worker;
    const why = reason === null ? null : terminal.text(reason);
    return { id, name, host, local, status: state, version: own, reason: why, lastSeen };
  });
  return { version, imageTag, development, consistent, services, leftOut, workers };
}
