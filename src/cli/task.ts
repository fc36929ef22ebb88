import type { Declare } from './program.ts';

/** What is about tasks: task run, list, logs, stop. */
export function declareTasks({ t, group }: Declare): void {
  const { command } = group('task', {
    en: 'commands in the task image, on any worker',
    zh: '在任一 worker 上用任务镜像执行命令',
  });
  command(
    'run [args...]',
    {
      en: 'run a command in the task image on the least loaded worker: task run -- COMMAND ARGUMENT…',
      zh: '在负载最低的 worker 上用任务镜像执行命令:task run -- 命令 参数…',
    },
    async () => (await import('../commands/task-run.ts')).taskRunCommand,
    (args, flags: { worker?: string; env?: string[]; detach?: boolean; id?: string; args: readonly string[] }) => ({
      ...flags,
      args,
    }),
  )
    .option('--worker <name>', t({ en: 'on this worker', zh: '指定 worker' }))
    .option(
      '--env <variable>',
      t({ en: 'KEY=VALUE, or KEY for its value here; may be repeated', zh: 'KEY=VALUE,或 KEY(取当前环境的值);可重复' }),
      (word: string, before: string[] | undefined) => [...(before ?? []), word],
    )
    .option('-d, --detach', t({ en: 'print its id and leave it running', zh: '打印任务 ID 并让其在后台运行' }))
    .option(
      '--id <id>',
      t({ en: 'call it this; a second task of that id is refused', zh: '指定任务 ID;重复的 ID 会被拒绝' }),
    );
  command(
    'list',
    { en: 'list the tasks on all workers, running and ended', zh: '列出所有 worker 上的任务' },
    async () => (await import('../commands/task-list.ts')).taskListCommand,
    () => ({}),
  );
  command(
    'logs <id>',
    { en: 'show what a task wrote', zh: '查看任务输出' },
    async () => (await import('../commands/task-logs.ts')).taskLogsCommand,
    ([id = ''], flags: { follow?: boolean; id: string }) => ({ ...flags, id }),
  ).option('-f, --follow', t({ en: 'go on until it has ended', zh: '持续输出直到任务结束' }));
  command(
    'stop <id>',
    { en: 'end a task: SIGTERM, after ten seconds SIGKILL', zh: '停止任务:先 SIGTERM,10 秒后 SIGKILL' },
    async () => (await import('../commands/task-stop.ts')).taskStopCommand,
    ([id = '']) => ({ id }),
  );
}
