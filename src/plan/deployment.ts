import type { DeploymentFacts } from '../observe/deployment.ts';
import { developmentTag, parseImageTag, type Version } from '../domain/version.ts';
import { makePlan, type Plan, type Step } from './plan.ts';
import * as steps from './steps.ts';

/**
 * The steps from the present to a target, on the main server. Everything that can fail without touching what runs comes
 * first. Empty if everything is already as the target wants it.
 */
export function planDeployment(command: string, facts: DeploymentFacts): Plan {
  const { target, checkout, env, outdated, running, waves } = facts;
  const missing = facts.images.filter((image) => image.missing);
  const released = facts.images.filter((image) => image.digest !== null);
  const commit = target.commit ?? checkout?.commit ?? null;
  const moves = target.commit !== null && target.commit !== checkout?.commit;
  const development = facts.development;
  const label = labelOf(target.version, development);
  const touches =
    moves || env.changed || facts.builds !== null || outdated.length > 0 || facts.certificateFolder !== null;
  const changes = touches || missing.length > 0;

  const plan: Step[] = missing.map(({ reference, digest }) => steps.pullImage(reference, digest));
  if (changes && released.length > 0) plan.push(steps.verifyImages(released));
  if (touches) plan.push(steps.holdStack(facts.projectName));
  if (moves && target.commit !== null) plan.push(steps.checkOut(target.commit));
  // After the stack is held: taken back, the names mean the old images again before the services are brought back.
  if (facts.builds !== null) plan.push(steps.buildImages(target.version, facts.builds));
  if (env.changed) {
    const wish = { version: target.version, development, learns: facts.deploys };
    plan.push(facts.envExists ? steps.writeEnv(wish, env.added, env.executor) : steps.createEnv(wish));
  }
  if (facts.certificateFolder !== null) plan.push(steps.makeCertificate(facts.certificateFolder));
  if (facts.leavesOut !== null) plan.push(steps.leaveOut(facts.leavesOut));
  if (facts.strays.length > 0) plan.push(steps.removeServices(facts.projectName, facts.strays));
  for (const wave of waves) {
    const switched = wave.filter((service) => outdated.includes(service));
    plan.push(...steps.switchServices(switched, label, running));
  }
  if (touches) plan.push(steps.checkHealth(waves.flat()));
  if (facts.initializes && outdated.length > 0) plan.push(steps.initializeData());
  // What was built here can be built again, not gone back to.
  if (changes && facts.deploys && !development) plan.push(steps.recordDeployment(command, target.version, commit));
  const from = facts.current === null ? null : labelOf(facts.current, facts.inDevelopment);
  return makePlan({ command, from, to: label, commit, steps: plan });
}

/** What runs, in a word: the version, or the image tag of what was built here for it. */
function labelOf(imageTag: string, development: boolean): string {
  return development ? developmentTag(parseImageTag(imageTag, 'IMAGE_TAG').version) : imageTag;
}

/** Only the images. */
export function planBuild(command: string, { target, builds }: Pick<DeploymentFacts, 'target' | 'builds'>): Plan {
  const to = developmentTag(target.version);
  const plan = builds === null ? [] : [steps.buildImages(target.version, builds)];
  return makePlan({ command, from: to, to, commit: null, steps: plan });
}

/**
 * Out of development mode, with nothing running afterwards.
 *
 * @param containers the names of those that were started from the development file
 */
export function planLeave(
  command: string,
  leaving: { readonly version: Version; readonly projectName: string; readonly containers: readonly string[] },
): Plan {
  const { version, projectName, containers } = leaving;
  const plan = containers.length === 0 ? [] : [steps.removeStack(projectName, false)];
  plan.push(steps.writeEnv({ version, development: false, learns: false }, [], ''));
  return makePlan({ command, from: developmentTag(version), to: null, commit: null, steps: plan });
}
