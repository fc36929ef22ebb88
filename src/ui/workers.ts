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

/** How workers are, by id. */
export type Seen = ReadonlyMap<number, ObservedWorker>;

/** What was seen of a worker, in a JSON document; `unknown` where nothing was. */
export function observedData(seen: ObservedWorker | undefined, language: Language): { readonly [key: string]: Json } {
  const { status = 'unknown', version = null, reason = null, lastSeen = null, cpu = null, memory = null } = seen ?? {};
  return { status, version, reason: reason?.[language] ?? null, lastSeen, cpu, memory };
}

export function renderWorkers(workers: readonly Worker[], seen: Seen, language: Language, paint: Palette): string {
  const zh = language === 'zh';
  const head = zh
    ? ['ID', '名称', '地址', '状态', '版本', '途经']
    : ['ID', 'NAME', 'ADDRESS', 'STATE', 'VERSION', 'THROUGH'];
  const rows = workers.map((worker) => {
    const version = seen.get(worker.id)?.version ?? null;
    const state = stateOf(seen.get(worker.id), paint);
    const way = worker.jumps.map(addressOf).join(', ') || '-';
    return [String(worker.id), printable(worker.name), addressOf(worker), state, version ?? '-', way];
  });
  const reasons = workers.flatMap(({ id, name }) => {
    const reason = seen.get(id)?.reason ?? null;
    return reason === null ? [] : [`${paint.caution('•')} ${printable(name)}: ${printable(reason[language])}`];
  });
  return [table([head.map(paint.dim), ...rows]), ...reasons].join('\n');
}

function stateOf(seen: ObservedWorker | undefined, paint: Palette): string {
  if (seen === undefined) return 'unknown';
  return seen.status === 'online' ? paint.good(seen.status) : paint.bad(seen.status);
}

export function renderWorker(
  worker: Worker,
  seen: ObservedWorker | undefined,
  language: Language,
  paint: Palette,
  fingerprint: Fingerprint,
): string {
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
    [zh ? '状态' : 'state', stateOf(seen, paint)],
    ...lines(seen, language),
  ];
  return table(rows.map(([title = '', value = '']) => [paint.dim(title), value]));
}

/** What is known of it beyond its state. */
function lines(seen: ObservedWorker | undefined, language: Language): string[][] {
  const zh = language === 'zh';
  const { version = null, reason = null, lastSeen = null, cpu = null, memory = null } = seen ?? {};
  return [
    ...(reason === null ? [] : [[zh ? '原因' : 'reason', printable(reason[language])]]),
    ...(version === null ? [] : [[zh ? '版本' : 'version', printable(version)]]),
    ...(cpu === null || memory === null
      ? []
      : [[zh ? '负载' : 'load', zh ? `CPU ${cpu}%,内存 ${memory}%` : `${cpu} % CPU, ${memory} % memory`]]),
    ...(lastSeen === null ? [] : [[zh ? '最近心跳' : 'last seen', lastSeen]]),
  ];
}
