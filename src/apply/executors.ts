import type { Project } from '../observe/project.ts';
import { backupExecutors } from './backups.ts';
import { deploymentExecutors } from './deployment.ts';
import { doctorExecutors } from './doctor.ts';
import { pruneExecutors } from './prune.ts';
import { fleetExecutors } from './fleet.ts';
import { hostPartExecutors } from './host-parts.ts';
import { releaseExecutors } from './release.ts';
import type { Executors } from './step.ts';
import { workerRemovalExecutors } from './worker-removal.ts';
import { workerExecutors } from './workers.ts';

/** Everything that can happen to a project. Recovery must know them all, whoever wrote the journal. */
export function executorsFor(project: Project): Executors {
  return {
    ...deploymentExecutors(project),
    ...releaseExecutors(project),
    ...backupExecutors(project),
    ...hostPartExecutors(),
    ...workerExecutors(project),
    ...fleetExecutors(project),
    ...workerRemovalExecutors(project),
    ...pruneExecutors(project),
    ...doctorExecutors(project),
  };
}
