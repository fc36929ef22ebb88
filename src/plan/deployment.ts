import type { DeploymentFacts } from '../observe/deployment.ts';
import { makePlan, type Plan, type Step } from './plan.ts';
import * as steps from './steps.ts';

/**
 * The steps from the present to a target, on the main server. Everything that can fail without touching what runs comes
 * first. Empty if everything is already as the target wants it.
 */
export function planDeployment(command: string, facts: DeploymentFacts): Plan {
  const { target, checkout, env, outdated, present, waves } = facts;
  const missing = facts.images.filter((image) => image.missing);
  const released = facts.images.filter((image) => image.digest !== null);
  const commit = target.commit ?? checkout?.commit ?? null;
  const moves = target.commit !== null && target.commit !== checkout?.commit;
  const touches = moves || env.changed || outdated.length > 0 || facts.certificateFolder !== null;
  const changes = touches || missing.length > 0;

  const plan: Step[] = missing.map(({ reference, digest }) => steps.pullImage(reference, digest));
  if (changes && released.length > 0) plan.push(steps.verifyImages(released));
  if (touches) plan.push(steps.holdStack(facts.projectName));
  if (moves && target.commit !== null) plan.push(steps.checkOut(target.commit));
  if (env.changed)
    plan.push(facts.envExists ? steps.writeEnv(target.version, env.added) : steps.createEnv(target.version));
  if (facts.certificateFolder !== null) plan.push(steps.makeCertificate(facts.certificateFolder));
  for (const wave of waves) {
    const switched = wave.filter((service) => outdated.includes(service));
    plan.push(...steps.switchServices(switched, target.version, present));
  }
  if (touches) plan.push(steps.checkHealth(waves.flat()));
  if (facts.initializes && outdated.length > 0) plan.push(steps.initializeData());
  if (changes && facts.deploys) plan.push(steps.recordDeployment(command, target.version, commit));
  return makePlan({ command, from: facts.current, to: target.version, commit, steps: plan });
}
