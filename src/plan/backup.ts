import { envValue, type EnvFile } from '../domain/env-file.ts';
import { makePlan, MAIN_HOST, type Plan, type Step } from './plan.ts';

/** @param newest the newest backup, if that is what docker/.env holds already */
export function planBackup(imageTag: string | null, newest: string | null): Plan {
  const step = {
    kind: 'backup-env',
    title: { en: 'back up docker/.env', zh: '备份 docker/.env' },
    host: MAIN_HOST,
    params: {},
  };
  return makePlan({
    command: 'backup create',
    from: imageTag,
    to: imageTag,
    commit: null,
    steps: newest === null ? [step] : [],
  });
}

export interface RestoreFacts {
  readonly name: string;
  /** IMAGE_TAG now and in the backup. */
  readonly from: string | null;
  readonly to: string | null;
  /** Keys whose value the backup changes, brings and takes away. */
  readonly changed: readonly string[];
  /** docker/.env is what the backup holds. */
  readonly isCurrent: boolean;
}

export function planRestore({ name, from, to, changed, isCurrent }: RestoreFacts): Plan {
  const keys = changed.join(', ');
  const step: Step = {
    kind: 'restore-env',
    title: {
      en: `bring docker/.env back as it is in ${name}${keys === '' ? '' : ` (${keys})`}`,
      zh: `把 docker/.env 恢复为 ${name} 的内容${keys === '' ? '' : `(${keys})`}`,
    },
    undone: { en: 'docker/.env is as before', zh: 'docker/.env 已恢复原状' },
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
