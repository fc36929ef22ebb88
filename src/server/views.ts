import type { Language } from '../domain/text.ts';
import { LOCAL_ID, stateOf, type Entry } from './roster.ts';
import type { WorkerView } from './schemas.ts';
import type { FleetEvent } from './store.ts';
import type { HeardLoad } from './task-runner.ts';

/** A worker as the API shows it. */
export function viewOf(entry: Entry, language: Language): WorkerView {
  const { beat, worker, record } = entry;
  const { status, reason } = stateOf(entry);
  return {
    id: entry.id,
    name: entry.name,
    host: worker?.host ?? null,
    is_local: worker === null && (record?.local ?? entry.id === LOCAL_ID),
    status,
    version: beat?.version ?? null,
    cpu_percent: beat?.cpu ?? null,
    memory_percent: beat?.memory ?? null,
    last_seen: beat === null ? null : new Date(beat.at).toISOString(),
    reason: reason === null ? null : reason[language],
  };
}

/** How busy a worker said it is; one that has fallen silent may be anything. */
export function heardLoad(entry: Entry): HeardLoad {
  const { id, beat } = entry;
  const silent = beat === null || stateOf(entry).status === 'offline';
  return {
    id,
    load: silent ? null : { cpu: beat.cpu, memory: beat.memory },
    measured: new Date(beat?.at ?? 0),
  };
}

/** Whether there is anything to tell: some changes are only of use to the control plane itself. */
export function isNews(event: FleetEvent): boolean {
  return event.record === null || event.record.state.status !== event.from;
}

/** An event in the form of a stream of server-sent events. */
export function eventText(event: FleetEvent, language: Language): string {
  const { id, at, workerId, name, from, version, record } = event;
  const data = {
    at: new Date(at).toISOString(),
    worker_id: workerId,
    name,
    from,
    to: record?.state.status ?? 'removed',
    version,
    reason: record?.state.reason?.[language] ?? null,
  };
  return `id: ${id}\nevent: worker\ndata: ${JSON.stringify(data)}\n\n`;
}
