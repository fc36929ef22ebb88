import { removeKeyArgv } from '../argv/authorized-keys.ts';
import { listImagesOf, removeImages } from '../argv/images.ts';
import { UserError } from '../domain/errors.ts';
import { withoutWorker, withWorker, type Worker } from '../domain/inventory.ts';
import { readText } from '../effects/files.ts';
import { readPublicKey } from '../effects/project-key.ts';
import { composeProjectName } from '../observe/stack.ts';
import type { Connection } from '../effects/transport.ts';
import type { Project } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import { takeAgentAway } from './agent-swap.ts';
import { onHost, unattendedAccess, type HostAccess } from './host-access.ts';
import { executor, type Executors } from './step.ts';
import { writeInventory } from './workers.ts';

type Params = { readonly worker: Worker & { readonly [key: string]: Json } };

/** Milliseconds for one small command over there. */
const LIMIT = 30_000;
/** An engine deletes gigabytes at the speed of its disk. */
const IMAGES_LIMIT = 600_000;

/** Taking a worker out of the fleet. What tasks left there, and what is not ours, stays. */
export function workerRemovalExecutors(project: Project, access: HostAccess = unattendedAccess(project)): Executors {
  return {
    // Not put back: whoever removes a worker, and is cut short, removes it again.
    'remove-agent': executor<Params>({
      async apply({ worker }) {
        const host = { name: worker.name, connect: () => access.connect(worker) };
        await takeAgentAway(host, await composeProjectName(project));
        return 'done';
      },
    }),
    // What a task left uses its image: that one stays, since Docker refuses to remove it.
    'remove-images': executor<Params & { readonly repositories: readonly string[]; readonly [key: string]: Json }>({
      apply: ({ worker, repositories }, { signal }) =>
        onHost(access, worker, async (connection) => {
          // The main server's own engine, reached as a worker: what one can go back to is there.
          const [here, there] = await Promise.all([engineId(await access.connect(null)), engineId(connection)]);
          if (here === there) return;
          for (const repository of repositories) {
            const listed = await connection.exec(listImagesOf(repository), { timeout: LIMIT, signal });
            const images = listed.stdout
              .split('\n')
              .filter((line) => line !== '')
              .map((line) => line.split(' ') as [name: string, id: string])
              .map(([name, id]) => (name.endsWith(':<none>') ? id : name));
            if (images.length > 0) await connection.exec(removeImages(images), { timeout: IMAGES_LIMIT, signal });
          }
        }),
    }),
    'forget-worker': executor<Params>({
      async apply({ worker }) {
        await writeInventory(project, withoutWorker(await readText(project.inventoryFile), worker.id));
        return 'done';
      },
      async undo({ worker }) {
        await writeInventory(project, withWorker(await readText(project.inventoryFile), worker));
      },
    }),
    // The last one: a key that could not be taken away is told, and keeps nobody in the fleet.
    'remove-key': executor<Params>({
      async apply({ worker }, { signal }) {
        const key = await readPublicKey(project.keys);
        if (key === null) return 'unchanged';
        try {
          const connection = await access.connect(worker);
          const { code, stderr } = await connection.exec(removeKeyArgv(key), { timeout: LIMIT, signal });
          if (code === 0) return 'done';
          access.failed(worker.name, keyStays(worker, stderr));
        } catch (error) {
          if (!(error instanceof UserError) || error.code === 'INTERRUPTED') throw error;
          access.failed(worker.name, error);
        }
        return 'unchanged';
      },
    }),
  };
}

/** Docker's own name for an engine; empty where it does not answer. */
async function engineId(connection: Connection): Promise<string> {
  return (await connection.exec(['docker', 'info', '--format', '{{.ID}}'], { timeout: LIMIT })).stdout.trim();
}

function keyStays(worker: Worker, evidence: string): UserError {
  return new UserError(
    'FAILED',
    {
      en: `the project's key could not be taken out of ~/.ssh/authorized_keys on ${worker.name}`,
      zh: `无法从 ${worker.name} 的 ~/.ssh/authorized_keys 中移除本项目的公钥`,
    },
    { host: worker.name, evidence },
  );
}
