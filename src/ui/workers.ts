import { addressOf, type Endpoint, type Worker } from '../domain/inventory.ts';
import type { Language } from '../domain/text.ts';
import type { Json } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { printable, table } from './layout.ts';

/** How a host key is shown: `SHA256:…` */
type Fingerprint = (hostKey: string) => string;

/** A declared worker in a JSON document. */
export function workerData(worker: Worker, fingerprint: Fingerprint): { readonly [key: string]: Json } {
  const { id, name, jumps } = worker;
  return {
    id,
    name,
    local: false,
    ...endpointData(worker, fingerprint),
    jumps: jumps.map((each) => endpointData(each, fingerprint)),
  };
}

function endpointData({ host, port, user, identity, hostKey }: Endpoint, fingerprint: Fingerprint) {
  return { host, port, user, identity, hostKey, fingerprint: hostKey === null ? null : fingerprint(hostKey) };
}

export function renderWorkers(workers: readonly Worker[], language: Language, paint: Palette): string {
  const head = language === 'zh' ? ['ID', '名称', '地址', '途经'] : ['ID', 'NAME', 'ADDRESS', 'THROUGH'];
  const rows = workers.map((worker) => [
    String(worker.id),
    printable(worker.name),
    addressOf(worker),
    worker.jumps.map(addressOf).join(', ') || '-',
  ]);
  return table([head.map(paint.dim), ...rows]);
}

export function renderWorker(worker: Worker, language: Language, paint: Palette, fingerprint: Fingerprint): string {
  const zh = language === 'zh';
  const none = paint.dim(zh ? '无' : 'none');
  const key = ({ hostKey }: Endpoint): string =>
    hostKey === null ? none : `${hostKey.split(' ')[0]} ${fingerprint(hostKey)}`;
  const rows = [
    ['ID', String(worker.id)],
    [zh ? '名称' : 'name', printable(worker.name)],
    [zh ? '地址' : 'address', addressOf(worker)],
    [zh ? '私钥' : 'identity', worker.identity === null ? none : printable(worker.identity)],
    [zh ? '主机密钥' : 'host key', key(worker)],
    ...worker.jumps.map((jump) => [zh ? '途经' : 'through', `${addressOf(jump)}  ${key(jump)}`]),
  ];
  return table(rows.map(([title = '', value = '']) => [paint.dim(title), value]));
}
