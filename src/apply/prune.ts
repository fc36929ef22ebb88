import { removeContainers, removeImages } from '../argv/images.ts';
import type { Worker } from '../domain/inventory.ts';
import type { Project } from '../observe/project.ts';
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
  const remove = (worker: Worker | null, argv: string[], signal: AbortSignal): Promise<'done' | 'unchanged'> =>
    onHost(access, worker, async (connection) => {
      // Docker refuses, one by one, what is in use since it was looked at; the rest goes.
      await connection.exec(argv, { timeout: LIMIT, signal });
    });
  return {
    'prune-containers': executor<Containers>({
      apply: ({ worker, ids }, { signal }) => remove(worker, removeContainers(ids), signal),
    }),
    'prune-images': executor<Images>({
      apply: ({ worker, names }, { signal }) => remove(worker, removeImages(names), signal),
    }),
  };
}
