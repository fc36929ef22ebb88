import type { Declare } from './program.ts';

/** What is about workers: worker add, list, show, … */
export function declareFleet({ t, heading, group }: Declare): void {
  heading({ en: 'Workers:', zh: 'Worker:' });
  const { command } = group('worker', { en: 'hosts that run tasks, over SSH', zh: '通过 SSH 管理执行任务的主机' });
  command(
    'add <destination>',
    { en: 'add a host: [user@]host[:port]', zh: '添加主机:[用户@]主机[:端口]' },
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
    .option('--no-bootstrap', t({ en: 'write it into the inventory only', zh: '只写入清单' }));
  command(
    'list',
    { en: 'list the workers', zh: '列出 worker' },
    async () => (await import('../commands/worker-list.ts')).workerListCommand,
    () => ({}),
  );
  command(
    'show <name>',
    { en: 'show one worker', zh: '显示一个 worker' },
    async () => (await import('../commands/worker-show.ts')).workerShowCommand,
    ([name = '']) => ({ name }),
  );
}
