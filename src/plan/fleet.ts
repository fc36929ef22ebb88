import type { Worker } from '../domain/inventory.ts';
import type { Text } from '../domain/text.ts';
import type { Json, Plan, Step } from './plan.ts';
import { plainWorker } from './workers.ts';

/** An image, with the digests of which it must have one. */
export interface Pinned {
  readonly reference: string;
  readonly digests: readonly string[] | null;
}

/** `lax`: its failure is told, and all others go on. */
export interface Manner {
  readonly lax: boolean;
}

const STRICT: Manner = { lax: false };
const LAX: Manner = { lax: true };

/** @param install Docker may be missing: it is installed afterwards */
export function checkHost(worker: Worker, install: boolean, platforms: readonly string[] | null): Step {
  const title = {
    en: 'check system, architecture, disk, clock and Docker',
    zh: '检查系统、架构、磁盘、时钟和 Docker',
  };
  return on(worker, 'check-host', title, STRICT, { install, platforms });
}

/** @param mirrors of the main server's engine, for a new one */
export function installDocker(worker: Worker, mirrors: readonly string[]): Step {
  const [through, via] =
    mirrors.length === 0 ? ['', ''] : [` with mirror ${mirrors.join(', ')}`, `(镜像加速 ${mirrors.join('、')})`];
  const title = {
    en: `if Docker is missing, install it from the distribution's packages, or from Docker's own${through}; it stays whatever comes after`,
    zh: `如缺少 Docker,则从发行版软件源或 Docker 官方软件源安装${via};之后不会移除`,
  };
  return on(worker, 'install-docker', title, STRICT, { mirrors });
}

/** For a user who is not root; one who may use it already stays as it is. */
export function allowDocker(worker: Worker): Step {
  const title = {
    en: `let ${worker.user} use Docker, if it may not: group docker, by sudo`,
    zh: `如 ${worker.user} 尚无权使用 Docker,则用 sudo 加入 docker 组`,
  };
  return on(worker, 'allow-docker', title, STRICT, {});
}

/** @param wave the title under which it happens beside others */
export function pullOnWorker(worker: Worker, { reference, digests }: Pinned, manner: Manner, wave: Text): Step {
  const title = {
    en: `pull ${reference} and compare it with the release lock`,
    zh: `拉取 ${reference} 并按发布清单核对`,
  };
  return { ...on(worker, 'pull-on-worker', title, manner, { reference, digests }), wave };
}

export function swapAgent(worker: Worker, version: string, manner: Manner): Step {
  const title = {
    en: `run the agent of ${version}, and wait for its first heartbeat`,
    zh: `运行 ${version} 的 agent 并等待首次心跳`,
  };
  const undone = { en: `${worker.name} has the agent it had`, zh: `${worker.name} 的 agent 已恢复原状` };
  const wave = { en: 'bring the agents to the version', zh: '更新各主机的 agent' };
  return { ...on(worker, 'swap-agent', title, manner, { version }), undone, wave };
}

/** What workers do to follow a version, each on its own. */
export interface Following {
  /** Their images: nothing that fails here keeps anybody from going on. */
  readonly before: readonly Step[];
  /** Their agents. */
  readonly after: readonly Step[];
}

export function planFollowing(workers: readonly Worker[], images: readonly Pinned[], version: string): Following {
  const wave = { en: 'pull images on the workers', zh: '在各 worker 上拉取镜像' };
  return {
    before: workers.flatMap((worker) => images.map((image) => pullOnWorker(worker, image, LAX, wave))),
    after: workers.map((worker) => swapAgent(worker, version, LAX)),
  };
}

/**
 * A deployment with the workers' part in it: their images come after the stack's own, which tell first whether there is such a release,
 * and before the stack is touched; their agents after the point of no return.
 */
export function withFollowing(plan: Plan, { before, after }: Following): Plan {
  const pulls = plan.steps.filter(({ kind }) => kind === 'pull-image' || kind === 'verify-images');
  const rest = plan.steps.filter((step) => !pulls.includes(step));
  return { ...plan, steps: [...pulls, ...before, ...rest, ...after] };
}

function on(worker: Worker, kind: string, title: Text, { lax }: Manner, more: { readonly [key: string]: Json }): Step {
  return { kind, title, host: worker.name, params: { worker: plainWorker(worker), lax, ...more } };
}
