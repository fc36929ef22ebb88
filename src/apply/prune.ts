import { removeContainers, removeImages } from '../argv/images.ts';
import type { Worker } from '../domain/inventory.ts';
import { remove } from '../effects/files.ts';
import type { Project } from '../observe/project.ts';
import { recordFile } from '../observe/tasks.ts';
import type { Json } from '../plan/plan.ts';
import { onHost, unattendedAccess, type HostAccess } from './host-access.ts';
import { executor, type Executors } from './step.ts';

type Where = { readonly worker: (Worker & { readonly [key: string]: Json }) | null };
type Containers = Where & { readonly ids: readonly string[]; readonly [key: string]: Json };
type Images = Where & { readonly names: readonly string[]; readonly [key: string]: Json };

/** Milliseconds: an engine deletes gigabytes at the speed of its disk. */
const LIMIT = 600_000;

/** Removing images and containers. There is no undo: nothing that is needed goes. */
export function pruneExecutors(project: Project, access: HostAccess = unattendedAccess(project)): Executors {
  const clean = (worker: Worker | null, argv: string[], signal: AbortSignal): Promise<'done' | 'unchanged'> =>
    onHost(access, worker, async (connection) => {
      // Docker refuses, one by one, what is in use since it was looked at; the rest goes.
      await connection.exec(argv, { timeout: LIMIT, signal });
    });
  return {
    'prune-containers': executor<Containers>({
      apply: ({ worker, ids }, { signal }) => clean(worker, removeContainers(ids), signal),
    }),
    'prune-records': executor<{ readonly ids: readonly string[]; readonly [key: string]: Json }>({
      apply: async ({ ids }) => {
        for (const id of ids) await remove(recordFile(project.state, id));
        return 'done';
      },
    }),
    'prune-images': executor<Images>({
      apply: ({ worker, names }, { signal }) => clean(worker, removeImages(names), signal),
    }),
  };
}
