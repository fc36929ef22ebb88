import { HEALTHY } from '../apply/fleet.ts';
import { swapAgent } from '../apply/agent-swap.ts';
import { unattendedRing } from '../apply/host-access.ts';
import { pullOnHost } from '../apply/host-pull.ts';
import { fail } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { openFleet } from '../effects/fleet.ts';
import type { Connection } from '../effects/transport.ts';
import { agentSpecFor } from '../observe/agent-spec.ts';
import type { Project } from '../observe/project.ts';
import { readInstalled } from '../observe/worker-images.ts';
import type { AgentUpdater } from './agent-updater.ts';

/** Updates agents over SSH with the project's own key. Each update has connections of its own, closed at its end. */
export function sshUpdater(project: Project): AgentUpdater {
  const ring = unattendedRing(project);

  async function reach<T>(worker: Worker, work: (connect: () => Promise<Connection>) => Promise<T>): Promise<T> {
    const fleet = openFleet(ring);
    try {
      return await work(() => fleet.connect(worker));
    } finally {
      await fleet.close();
    }
  }

  return {
    pull: (worker, version, signal) =>
      reach(worker, async (connect) => {
        const installed = await readInstalled(project);
        if (installed.version !== version) return anotherIsInstalled(installed.version);
        const connection = await connect();
        for (const image of installed.images)
          await pullOnHost(connection, worker.name, image, { signal, report: () => {} });
      }),
    swap: (worker, version, signal) =>
      reach(worker, async (connect) => {
        const spec = await agentSpecFor(project, worker, version);
        await swapAgent({ name: worker.name, connect }, spec, { limit: HEALTHY, signal });
      }),
  };
}

/** docker/.env has changed since the update was asked for: another one will be. */
function anotherIsInstalled(version: string): never {
  return fail('LOCKED', { en: `${version} is being installed`, zh: `正在安装 ${version}` });
}
