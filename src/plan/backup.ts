import type { BackupKind } from '../domain/backup.ts';
import { envValue, type EnvFile } from '../domain/env-file.ts';
import type { Text } from '../domain/text.ts';
import { makePlan, MAIN_HOST, type Plan, type Step } from './plan.ts';

const TITLES = {
  env: { en: 'docker/.env', zh: 'docker/.env' },
  inventory: { en: 'the inventory of workers', zh: 'worker 清单' },
} satisfies Record<BackupKind, Text>;

/** @param stale what is not yet what its newest backup holds */
export function planBackup(imageTag: string | null, stale: readonly BackupKind[]): Plan {
  const steps = stale.map((kind) => ({
    kind: `backup-${kind}`,
    title: { en: `back up ${TITLES[kind].en}`, zh: `备份 ${TITLES[kind].zh}` },
    host: MAIN_HOST,
    params: {},
  }));
  return makePlan({ command: 'backup create', from: imageTag, to: imageTag, commit: null, steps });
}

export interface RestoreFacts {
  readonly name: string;
  readonly kind: BackupKind;
  /** IMAGE_TAG now and in the backup. */
  readonly from: string | null;
  readonly to: string | null;
  /** Keys whose value the backup changes, brings and takes away; workers that it brings and takes away. */
  readonly changed: readonly string[];
  /** What is there is what the backup holds. */
  readonly isCurrent: boolean;
}

export function planRestore({ name, kind, from, to, changed, isCurrent }: RestoreFacts): Plan {
  const keys = changed.join(', ');
  const what = TITLES[kind];
  const step: Step = {
    kind: `restore-${kind}`,
    title: {
      en: `bring ${what.en} back as it is in ${name}${keys === '' ? '' : ` (${keys})`}`,
      zh: `把 ${what.zh} 恢复为 ${name} 的内容${keys === '' ? '' : `(${keys})`}`,
    },
    undone: { en: `${what.en} is as before`, zh: `${what.zh} 已恢复原状` },
    host: MAIN_HOST,
    params: { name },
  };
  return makePlan({ command: 'backup restore', from, to, commit: null, steps: isCurrent ? [] : [step] });
}

/** The keys that two env files disagree on: `KEY` changed, `+KEY` brought, `-KEY` taken away. Never a value. */
export function changedKeys(before: EnvFile | null, after: EnvFile): string[] {
  const had = new Set(before?.entries.map(({ key }) => key));
  const has = new Set(after.entries.map(({ key }) => key));
  const brought = [...has].filter((key) => !had.has(key)).map((key) => `+${key}`);
  const taken = [...had].filter((key) => !has.has(key)).map((key) => `-${key}`);
  const changed = [...has].filter(
    (key) => before !== null && had.has(key) && envValue(before, key) !== envValue(after, key),
  );
  return [...changed, ...brought, ...taken];
}

/** The workers that one inventory has and the other has not: `+name` brought, `-name` taken away. */
export function changedWorkers(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...after.filter((name) => !before.includes(name)).map((name) => `+${name}`),
    ...before.filter((name) => !after.includes(name)).map((name) => `-${name}`),
  ];
}
