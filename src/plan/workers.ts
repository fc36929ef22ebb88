import { addressOf, type Worker } from '../domain/inventory.ts';
import { MAIN_HOST, type Json, type Step } from './plan.ts';

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
    params: { worker: plain(worker) },
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
    params: { worker: plain(worker) },
    undone: { en: 'the inventory is as before', zh: '清单已恢复原状' },
  };
}

function plain(worker: Worker): Json {
  return { ...worker, jumps: worker.jumps.map((each) => ({ ...each })) };
}
