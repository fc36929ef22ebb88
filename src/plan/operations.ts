import type { Text } from '../domain/text.ts';
import type { HostPart } from '../effects/host-packages.ts';
import { makePlan, type Plan } from './plan.ts';
import * as steps from './steps.ts';

/** A stack as it runs now. */
export interface RunningStack {
  readonly imageTag: string;
  readonly projectName: string;
  readonly services: readonly string[];
}

export function planStop({ imageTag, projectName, services }: RunningStack): Plan {
  const plan = services.length === 0 ? [] : [steps.holdStack(projectName), steps.stopStack(services)];
  return makePlan({ command: 'stop', from: imageTag, to: imageTag, commit: null, steps: plan });
}

export function planRestart({ imageTag, projectName, services }: RunningStack): Plan {
  const plan = [steps.holdStack(projectName), steps.restartStack(services), steps.checkHealth(services)];
  return makePlan({ command: 'restart', from: imageTag, to: imageTag, commit: null, steps: plan });
}

/** @param volumes also delete the data */
export function planUninstall(
  imageTag: string,
  projectName: string,
  containers: readonly string[],
  volumes: boolean,
): Plan {
  const plan = containers.length === 0 && !volumes ? [] : [steps.removeStack(projectName, volumes)];
  return makePlan({ command: 'uninstall', from: imageTag, to: null, commit: null, steps: plan });
}

/** What a machine must have before anything can be installed on it. */
export function planPreparation(parts: readonly { readonly part: HostPart; readonly name: Text }[]): Plan {
  const plan = parts.length === 0 ? [] : [steps.installParts(parts)];
  return makePlan({ command: 'prepare', from: null, to: null, commit: null, steps: plan });
}
