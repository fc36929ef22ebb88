import { addressOf, type Endpoint, type Worker } from '../domain/inventory.ts';
import type { Language } from '../domain/text.ts';
import type { ObservedWorker } from '../observe/heard-workers.ts';
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

/** @param seen how they are, by id */
export function renderWorkers(
  workers: readonly Worker[],
  seen: ReadonlyMap<number, ObservedWorker>,
  language: Language,
  paint: Palette,
): string {
  const zh = language === 'zh';
  const head = zh
    ? ['ID', '名称', '地址', '状态', '版本', '途经']
    : ['ID', 'NAME', 'ADDRESS', 'STATE', 'VERSION', 'THROUGH'];
  const rows = workers.map((worker) => {
    const { status = 'unknown', version = null } = seen.get(worker.id) ?? {};
    const state = status === 'online' ? paint.good(status) : status === 'unknown' ? status : paint.bad(status);
    const way = worker.jumps.map(addressOf).join(', ') || '-';
    return [String(worker.id), printable(worker.name), addressOf(worker), state, version ?? '-', way];
  });
  const reasons = workers.flatMap(({ id, name }) => {
    const reason = seen.get(id)?.reason ?? null;
    return reason === null ? [] : [`${paint.caution('•')} ${printable(name)}: ${printable(reason[language])}`];
  });
  return [table([head.map(paint.dim), ...rows]), ...reasons].join('\n');
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
