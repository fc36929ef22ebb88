import stringWidth from 'string-width';
import { tagOf } from '../domain/image.ts';
import type { Language, Text } from '../domain/text.ts';
import type { TaskState } from '../domain/task.ts';
import type { Task } from '../observe/tasks.ts';
import type { Json } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { cut, printable, table } from './layout.ts';

/** A task in a JSON document. */
export function taskData({ id, worker, state, image, args, since, end }: Task): { readonly [key: string]: Json } {
  return {
    id,
    worker: { id: worker.id, name: worker.name },
    state,
    image,
    args: [...args],
    since,
    code: end?.code ?? null,
    endedAt: end?.at ?? null,
  };
}

const STATES: Readonly<Record<TaskState, Text>> = {
  waiting: { en: 'not started', zh: '未启动' },
  created: { en: 'created', zh: '已创建' },
  running: { en: 'running', zh: '运行中' },
  paused: { en: 'paused', zh: '已暂停' },
  ended: { en: 'ended', zh: '已结束' },
  failed: { en: 'could not start', zh: '启动失败' },
  removed: { en: 'removed', zh: '已清理' },
  unknown: { en: 'unknown', zh: '未知' },
};

/** Columns of a command that are shown however narrow the terminal is. */
const SHORTEST_COMMAND = 8;

/** @param columns of the terminal: what commands do not fit in is cut */
export function renderTasks(tasks: readonly Task[], language: Language, paint: Palette, columns: number): string {
  const zh = language === 'zh';
  const head = zh
    ? ['任务', 'WORKER', '状态', '开始于', '版本', '命令']
    : ['TASK', 'WORKER', 'STATE', 'SINCE', 'VERSION', 'COMMAND'];
  const rows = tasks.map(({ id, worker, state, end, since, image, args }) => {
    const words = `${STATES[state][language]}${end === null ? '' : ` ${end.code}`}`;
    const bad = state === 'failed' || (end !== null && end.code !== 0);
    return [
      id,
      printable(worker.name),
      bad ? paint.bad(words) : state === 'running' ? paint.good(words) : words,
      since.replace('T', ' ').slice('2026-'.length, '2026-11-27 10:35'.length),
      printable(tagOf(image)),
      printable(args.join(' ').replaceAll(/\s+/g, ' ')),
    ];
  });
  const used = stringWidth(table([head, ...rows].map((row) => row.with(-1, '|'))).split('\n')[0] ?? '') - 1;
  const room = Math.max(SHORTEST_COMMAND, columns - used);
  return table([head.map(paint.dim), ...rows.map((row) => row.with(-1, cut(row.at(-1) ?? '', room)))]);
}
