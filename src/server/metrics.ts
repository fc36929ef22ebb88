import type { WorkerStatus } from '../domain/worker-state.ts';
import { stateOf, type Roster } from './roster.ts';
import type { Store } from './store.ts';

/** Answers that were given, by status. */
export class AnswerCounts {
  readonly byStatus = new Map<number, number>();

  count(status: number): void {
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
  }
}

const STATUSES: readonly WorkerStatus[] = ['pending', 'deploying', 'online', 'updating', 'outdated', 'offline'];

interface Sources {
  readonly roster: Roster;
  readonly store: Store;
  readonly answers: AnswerCounts;
  readonly streams: number;
}

/** The state of the control plane in Prometheus' text format, version 0.0.4. */
export function metricsText({ roster, store, answers, streams }: Sources): string {
  const workers = new Map<WorkerStatus, number>(STATUSES.map((status) => [status, 0]));
  for (const entry of roster.all()) {
    const { status } = stateOf(entry);
    workers.set(status, (workers.get(status) ?? 0) + 1);
  }
  const { heartbeats, updates, failedUpdates } = roster.counts;
  return [
    metric('xingrin_workers', 'gauge', 'Workers by status.', labelled('status', workers)),
    metric('xingrin_heartbeats_total', 'counter', 'Heartbeats taken.', [['', heartbeats]]),
    metric('xingrin_agent_updates_total', 'counter', 'Agent updates begun.', [['', updates]]),
    metric('xingrin_agent_update_failures_total', 'counter', 'Agent updates that failed.', [['', failedUpdates]]),
    metric('xingrin_http_answers_total', 'counter', 'Answers by status.', labelled('status', answers.byStatus)),
    metric('xingrin_event_streams', 'gauge', 'Readers of the event stream.', [['', streams]]),
    metric('xingrin_store_up', 'gauge', 'Whether the store answers.', [['', store.available() ? 1 : 0]]),
    metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', process.memoryUsage.rss()]]),
    metric('process_uptime_seconds', 'gauge', 'Seconds since the start.', [['', process.uptime()]]),
  ].join('');
}

function labelled(label: string, values: ReadonlyMap<string | number, number>): [string, number][] {
  return [...values].map(([key, value]) => [`{${label}="${key}"}`, value]);
}

function metric(name: string, type: string, help: string, samples: readonly (readonly [string, number])[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labels} ${value}`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.map((line) => `${line}\n`).join('')}`;
}
