import type { Declare } from './program.ts';

/** What is about workers: worker add, list, show, … */
export function declareFleet({ t, heading, group }: Declare): void {
  heading({ en: 'Workers:', zh: 'Worker:' });
  const { command } = group('worker', { en: 'hosts that run tasks, over SSH', zh: '通过 SSH 管理执行任务的主机' });
  command(
    'add <destination>',
    {
      en: 'add a host: [user@]host[:port], or a name out of ~/.ssh/config',
      zh: '添加主机:[用户@]主机[:端口],或 ~/.ssh/config 中的名称',
    },
    async () => (await import('../commands/worker-add.ts')).workerAddCommand,
    (
      [destination = ''],
      flags: {
        destination: string;
        name?: string;
        identity?: string;
        passwordStdin?: boolean;
        jump?: string;
        bootstrap?: boolean;
        installDocker?: boolean;
      },
    ) => ({ ...flags, destination }),
  )
    .option('--name <name>', t({ en: 'what to call it; its host name if absent', zh: '名称,默认取主机名' }))
    .option('--identity <file>', t({ en: 'private key to log in with', zh: '登录用的私钥' }))
    .option(
      '--password-stdin',
      t({ en: 'read a password once, to install a key', zh: '从标准输入读取一次密码,用于安装公钥' }),
    )
    .option('--jump <hosts>', t({ en: 'servers on the way, several with commas', zh: '途经的跳板机,多个用逗号分隔' }))
    .option('--install-docker', t({ en: 'install Docker there if it is missing', zh: '如该主机缺少 Docker,则先安装' }))
    .option('--no-bootstrap', t({ en: 'write it into the inventory only', zh: '只写入清单' }));
  const list = command(
    'list',
    { en: 'list the workers', zh: '列出 worker' },
    async () => (await import('../commands/worker-list.ts')).workerListCommand,
    (_args, flags: { hosts?: string }) => flags,
  );
  command(
    'show <name>',
    { en: 'show one worker', zh: '显示一个 worker' },
    async () => (await import('../commands/worker-show.ts')).workerShowCommand,
    ([name = '']) => ({ name }),
  );
  const update = command(
    'update [names...]',
    {
      en: 'bring workers (all if none is named) to the version of the main server',
      zh: '把 worker(默认全部)更新到主服务器的版本',
    },
    async () => (await import('../commands/worker-update.ts')).workerUpdateCommand,
    (names, flags: { hosts?: string; names: readonly string[] }) => ({ ...flags, names }),
  );
  command(
    'remove <name>',
    { en: 'take a host out: its agent, our key there, its entry', zh: '移除一台主机:其 agent、本项目的公钥及清单条目' },
    async () => (await import('../commands/worker-remove.ts')).workerRemoveCommand,
    ([name = ''], flags: { name: string; force?: boolean }) => ({ ...flags, name }),
  ).option('--force', t({ en: 'also if it cannot be reached', zh: '即使无法连接也移除' }));
  const exec = command(
    'exec [args...]',
    { en: 'run a program on many workers: worker exec -- PROGRAM ARGUMENT…', zh: '在多台 worker 上执行程序' },
    async () => (await import('../commands/worker-exec.ts')).workerExecCommand,
    (args, flags: { hosts?: string; parallel?: string; timeout?: string; args: readonly string[] }) => ({
      ...flags,
      args,
    }),
  );
  const logs = command(
    'logs',
    { en: 'show what the agents wrote', zh: '查看 agent 的日志' },
    async () => (await import('../commands/worker-exec.ts')).workerLogsCommand,
    (_args, flags: { hosts?: string; parallel?: string; timeout?: string; tail?: string }) => flags,
  ).option('--tail <lines>', t({ en: 'so many of the last lines; 50 if absent', zh: '最后若干行,默认 50' }));
  const hosts = t({ en: "names or hosts: 'eu-*,!eu-3'; all if absent", zh: "名称或主机:'eu-*,!eu-3',默认全部" });
  for (const each of [list, update, exec, logs]) each.option('--hosts <glob>', hosts);
  for (const each of [exec, logs]) {
    each
      .option('--parallel <n>', t({ en: 'so many at a time; 32 if absent', zh: '并行数,默认 32' }))
      .option('--timeout <seconds>', t({ en: 'for each host; 300 if absent', zh: '每台主机的时限(秒),默认 300' }));
  }
}
