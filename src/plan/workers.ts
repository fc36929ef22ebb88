import { addressOf, type Worker } from '../domain/inventory.ts';
import { makePlan, MAIN_HOST, type Json, type Plan, type Step } from './plan.ts';

export function makeProjectKey(): Step {
  return {
    kind: 'make-project-key',
    title: { en: "make the project's own SSH key in .xingrin/keys", zh: '在 .xingrin/keys 中生成本项目的 SSH 密钥' },
    host: MAIN_HOST,
    params: {},
  };
}

/** Logs in with whatever is at hand, and lets the project's key in from then on. */
export function installKey(worker: Worker): Step {
  const where = addressOf(worker);
  return {
    kind: 'install-key',
    title: {
      en: `log in as ${where} and let the project's key in`,
      zh: `登录 ${where} 并安装本项目的公钥`,
    },
    host: worker.name,
    params: { worker: plainWorker(worker) },
    undone: { en: `${where} is as before`, zh: `${where} 已恢复原状` },
  };
}

/** @param fingerprint of its host key, which is pinned with it */
export function recordWorker(worker: Worker, fingerprint: string): Step {
  const { id, name } = worker;
  const where = addressOf(worker);
  const kind = worker.hostKey?.split(' ')[0] ?? '';
  return {
    kind: 'record-worker',
    title: {
      en: `write worker ${id}, ${name} (${where}), into the inventory; host key pinned: ${kind} ${fingerprint}`,
      zh: `把 worker ${id} ${name}(${where})写入清单;登记主机密钥:${kind} ${fingerprint}`,
    },
    host: MAIN_HOST,
    params: { worker: plainWorker(worker) },
    undone: { en: 'the inventory is as before', zh: '清单已恢复原状' },
  };
}

/** A worker as a plan and a journal hold it. */
export function plainWorker(worker: Worker): Json {
  return { ...worker, jumps: worker.jumps.map((each) => ({ ...each })) };
}

/** @param reachable whether the host can be logged in to; if not, only the inventory changes */
/** @param repositories of this project's images, without tags: what is there of them goes */
export function planRemoval(worker: Worker, reachable: boolean, repositories: readonly string[]): Plan {
  const { name } = worker;
  const params = { worker: plainWorker(worker) };
  const there: Step = {
    kind: 'remove-agent',
    title: { en: `remove the agent on ${name}`, zh: `移除 ${name} 上的 agent` },
    host: name,
    params,
  };
  const images: Step = {
    kind: 'remove-images',
    title: {
      en: `remove this project's images on ${name}, but for what tasks left there use`,
      zh: `移除 ${name} 上本项目的镜像(任务遗留容器所用的除外)`,
    },
    host: name,
    params: { ...params, repositories },
  };
  const here: Step = {
    kind: 'forget-worker',
    title: { en: `take ${name} out of the inventory`, zh: `从清单中移除 ${name}` },
    host: MAIN_HOST,
    params,
    undone: { en: 'the inventory is as before', zh: '清单已恢复原状' },
  };
  const key: Step = {
    kind: 'remove-key',
    title: { en: `take the project's key off ${name}`, zh: `从 ${name} 移除本项目的公钥` },
    host: name,
    params,
  };
  const steps = reachable ? [there, ...(repositories.length === 0 ? [] : [images]), here, key] : [here];
  return makePlan({ command: 'worker remove', from: null, to: null, commit: null, steps });
}
