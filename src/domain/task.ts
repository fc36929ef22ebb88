import * as z from 'zod';
import { fail } from './errors.ts';
import { quoted } from './quote.ts';
import type { Text } from './text.ts';

/** What its container is called; so a host has one container for a task at most. */
export function taskContainer(id: string): string {
  return `xingrin-task-${id}`;
}

/** The worker on which a task runs, as the record names it. */
export interface TaskWorker {
  readonly id: number;
  readonly name: string;
}

/** What is to run. */
export interface TaskSpec {
  readonly id: string;
  /** Told from everything else that could have the container's name. */
  readonly mark: string;
  /** Name of the Compose project that it belongs to. */
  readonly project: string;
  readonly image: string;
  /** The command and its arguments, each as it is; the image's own command if empty. */
  readonly args: readonly string[];
}

const worker = z.object({ id: z.int(), name: z.string() });
const end = z.object({
  /** The container's exit code; 125 if it could not be started. */
  code: z.int(),
  /** ISO 8601; null if it never ran. */
  at: z.string().nullable(),
});
const record = z.object({
  schema: z.literal('xingrin-task/v1'),
  id: z.string(),
  mark: z.string(),
  project: z.string(),
  worker,
  image: z.string(),
  args: z.array(z.string()),
  /** ISO 8601; when it was about to be sent. */
  sent: z.string(),
  /** ISO 8601; null until we know that it was started. */
  started: z.string().nullable(),
  /** Null until we know that it has ended. */
  end: end.nullable(),
  /** There if the control plane sends it. `again`: it can do so once more, since there are no variables, whose values nobody keeps. */
  served: z.object({ again: z.boolean() }).optional(),
});

/**
 * What is written down about a task: before anything is sent, which worker may have it. Whether it runs is known by its container alone.
 * Neither values nor names of its environment are in it.
 */
export type TaskRecord = z.infer<typeof record>;
export type TaskEnd = z.infer<typeof end>;

/** What is written down before a worker gets a task. */
export function newTaskRecord(spec: TaskSpec, { id, name }: TaskWorker, now: Date): TaskRecord {
  return {
    schema: 'xingrin-task/v1',
    id: spec.id,
    mark: spec.mark,
    project: spec.project,
    worker: { id, name },
    image: spec.image,
    args: [...spec.args],
    sent: now.toISOString(),
    started: null,
    end: null,
  };
}

export function parseTaskRecord(text: string): TaskRecord | null {
  try {
    return record.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export function formatTaskRecord(task: TaskRecord): string {
  return `${JSON.stringify(task, null, 2)}\n`;
}

const ID = /^[a-z0-9](?:[a-z0-9_.-]{0,62}[a-z0-9])?$/;
const ID_RULE: Text = {
  en: 'a task id has 1 to 64 small letters, digits, and . _ or - between them',
  zh: '任务 ID 由 1 到 64 个小写字母、数字组成,中间可用 . _ 或 -',
};

/** Reads a task id: safe as part of a container's name and of a file's. Throws BAD_INPUT (exit 2) naming the rule. */
export function parseTaskId(text: string): string {
  if (ID.test(text) && !text.includes('..')) return text;
  return fail('BAD_INPUT', {
    en: `${quoted(text)} is no task id: ${ID_RULE.en}`,
    zh: `${quoted(text)} 不是任务 ID:${ID_RULE.zh}`,
  });
}

/**
 * A task id that sorts by time and can be typed: `20261125-103501-4f9a1c`.
 *
 * @param chance six hexadecimal digits
 */
export function newTaskId(now: Date, chance: string): string {
  const digits = now.toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}-${chance}`;
}

/** A variable for the task. Its value is nobody's business but the task's. */
export interface Variable {
  readonly key: string;
  readonly value: string;
}

const KEY = /^[A-Za-z_][A-Za-z0-9_.-]{0,254}$/;

/** Whether a variable may be called so. `__proto__` is one that objects of JavaScript, and whatever reads JSON into them, lose. */
export function isVariableKey(key: string): boolean {
  return KEY.test(key) && key !== '__proto__';
}

/**
 * Reads what `--env` was given: `KEY=VALUE`, or `KEY` for the caller's own value. The last of several counts. Throws BAD_INPUT or USAGE
 * (exit 2) naming the key, never the value.
 */
export function parseVariables(
  words: readonly string[],
  own: Readonly<Record<string, string | undefined>>,
): readonly Variable[] {
  const variables = new Map<string, Variable>();
  for (const word of words) {
    const at = word.indexOf('=');
    const key = at < 0 ? word : word.slice(0, at);
    checkKey(key);
    const value = at >= 0 ? word.slice(at + 1) : Object.hasOwn(own, key) ? own[key] : undefined;
    if (value === undefined) {
      fail(
        'USAGE',
        { en: `--env ${key}: there is no such variable here`, zh: `--env ${key}:当前环境中没有这个变量` },
        {
          hint: { en: `export it first, or give a value: --env ${key}=…`, zh: `请先 export,或直接给值:--env ${key}=…` },
        },
      );
    }
    variables.set(key, checked({ key, value }));
  }
  return [...variables.values()];
}

/** Variables that come as pairs, under the same rules. */
export function checkVariables(pairs: readonly (readonly [string, string])[]): readonly Variable[] {
  return pairs.map(([key, value]) => {
    checkKey(key);
    return checked({ key, value });
  });
}

/** Whether it fits on one line of a file of variables as Docker reads it: such a line ends where the value has a line break. */
export function fitsOneLine({ key, value }: Variable): boolean {
  return !/[\n\r]/.test(value) && key.length + value.length < LONGEST_LINE;
}

/** Docker's reader of such files gives up at 64 KiB. */
const LONGEST_LINE = 60_000;

function checkKey(key: string): void {
  if (isVariableKey(key)) return;
  // It may be a value whose key was forgotten.
  fail(
    'BAD_INPUT',
    {
      en: 'a variable is KEY=VALUE or KEY; a key has letters, digits, _ . or -, begins with a letter or _, and is not __proto__',
      zh: '变量须为 KEY=VALUE 或 KEY;KEY 由字母、数字、_ . - 组成,以字母或 _ 开头,且不能是 __proto__',
    },
    { hint: { en: '--env LEVEL=3', zh: '--env LEVEL=3' } },
  );
}

function checked(variable: Variable): Variable {
  const { key, value } = variable;
  if (value.includes('\0')) {
    fail('BAD_INPUT', { en: `the value of ${key} holds a NUL character`, zh: `${key} 的值含有 NUL 字符` });
  }
  return variable;
}

/**
 * How a task stands. Without a container: `waiting` to be started, `failed` to start, or `removed`. `unknown` if its host does not tell.
 */
export type TaskState = 'waiting' | 'created' | 'running' | 'paused' | 'ended' | 'failed' | 'removed' | 'unknown';

/** Docker's words for a container, as far as a task can be in them. */
export interface ContainerState {
  readonly status: string;
  readonly code: number;
  /** ISO 8601; null where it never began or has not ended. */
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** Why it could not be started; empty if it could. */
  readonly error: string;
}

export const COULD_NOT_START = 125;

export function taskState({ status, startedAt, error }: ContainerState): TaskState {
  if (status === 'running' || status === 'restarting') return 'running';
  if (status === 'paused') return 'paused';
  if (startedAt !== null) return 'ended';
  return error === '' ? 'created' : 'failed';
}

/** How a task stands of which there is a record, but no container on its host. */
export function stateWithoutContainer({ started, end: ended }: Pick<TaskRecord, 'started' | 'end'>): TaskState {
  if (ended === null) return started === null ? 'waiting' : 'removed';
  return ended.at === null ? 'failed' : 'removed';
}

/** Null as long as it has not ended. */
export function taskEnd(container: ContainerState): TaskEnd | null {
  const state = taskState(container);
  if (state === 'failed') return { code: COULD_NOT_START, at: null };
  return state === 'ended' ? { code: container.code, at: container.finishedAt } : null;
}
