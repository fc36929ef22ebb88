import { isDevelopmentExecutor } from '../domain/development.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { findWorker, MAIN_ID } from '../domain/inventory.ts';
import { readText } from '../effects/files.ts';
import type { Fleet } from '../effects/fleet.ts';
import { localConnection } from '../effects/local-host.ts';
import type { Machine } from '../effects/machine.ts';
import { taskExecutorImage } from './settings.ts';
import { localWorkerName, readInventory } from './inventory.ts';
import type { Project } from './project.ts';

/** Every host that can run tasks: the main server itself, then the inventory's. */
export interface Machines {
  readonly all: readonly Machine[];
  /** By name, id or host. Throws USAGE (exit 2) if there is none. */
  named(wanted: string): Machine;
}

/** The machines of a project, reached over this fleet's connections. */
export async function machinesOf(project: Project, fleet: Fleet): Promise<Machines> {
  const [inventory, name] = await Promise.all([readInventory(project), localWorkerName(project)]);
  const here: Machine = { id: MAIN_ID, name, connect: async () => localConnection(name) };
  const remote = inventory.workers.map((worker): Machine => {
    return { id: worker.id, name: worker.name, connect: () => fleet.connect(worker) };
  });
  return {
    all: [here, ...remote],
    named(wanted) {
      if (wanted.normalize('NFC') === name || wanted === String(MAIN_ID)) return here;
      const { id } = findWorker(inventory, wanted);
      return remote.find((machine) => machine.id === id) ?? here;
    },
  };
}

/** Those that can have an image: what development mode built is on the main server only, no other machine could run it. */
export function machinesFor(machines: Machines, image: string): Machines {
  if (!isDevelopmentExecutor(image)) return machines;
  return {
    all: machines.all.filter(({ id }) => id === MAIN_ID),
    named(wanted) {
      const machine = machines.named(wanted);
      if (machine.id === MAIN_ID) return machine;
      return fail(
        'PRECONDITION',
        {
          en: `${image} was built here by development mode: ${machine.name} cannot have it`,
          zh: `${image} 由开发模式在本机构建:${machine.name} 上没有该镜像`,
        },
        {
          hint: {
            en: 'run it here, or leave the mode: xingrin dev down',
            zh: '请在本机运行,或退出开发模式:xingrin dev down',
          },
        },
      );
    },
  };
}

/** The image that tasks run in. Throws PRECONDITION (exit 6) if none is set. */
export async function taskImage(project: Project): Promise<string> {
  const text = await readText(project.envFile);
  const image = text === null ? null : taskExecutorImage(project, parseEnvFile(text, project.envFile));
  if (image !== null) return image;
  return fail(
    'PRECONDITION',
    {
      en: 'no image is set for tasks: neither TASK_EXECUTOR_IMAGE nor IMAGE_TAG in docker/.env',
      zh: '未设置任务镜像:docker/.env 中既没有 TASK_EXECUTOR_IMAGE 也没有 IMAGE_TAG',
    },
    { hint: { en: 'xingrin install', zh: 'xingrin install' } },
  );
}
