import type { DevOptions } from '../commands/dev.ts';
import type { Text } from '../domain/text.ts';
import type { Declare } from './program.ts';
import { versionArgument } from './releasing.ts';

const DEV: Text = {
  en: 'development mode: from images that are built here',
  zh: '开发模式:使用本机构建的镜像',
};

/** What is typed on the main server: install, update, rollback and everything else that is about the stack. */
export function declareStack({ t, command, heading }: Declare): void {
  heading({ en: 'Main server:', zh: '主服务器:' });
  command(
    'install',
    { en: 'set this machine up as the main server', zh: '把本机安装为主服务器' },
    async () => (await import('../commands/install.ts')).installCommand,
    (_args, flags) => flags,
  )
    .option('--dev', t(DEV))
    .option('--version <version>', t({ en: 'install this version', zh: '安装指定版本' }))
    .option('--no-frontend', t({ en: 'leave the frontend out', zh: '不启动前端' }));
  command(
    'update [version]',
    { en: 'bring everything to the new version, or back to the old one', zh: '把一切更新到新版本,失败则回到旧版本' },
    async () => (await import('../commands/update.ts')).updateCommand,
    ([version], flags: { version?: string; dev?: boolean }) => ({
      ...flags,
      ...(version === undefined ? {} : { version }),
    }),
  ).option('--dev', t(DEV));
  command(
    'rollback [version]',
    { en: 'go back to the previous or a named deployment', zh: '回退到上一次或指定的部署' },
    async () => (await import('../commands/rollback.ts')).rollbackCommand,
    versionArgument,
  );
  for (const [name, about] of [
    [
      'start',
      { en: 'start the stack; needs no network when the images are here', zh: '启动服务;镜像在本机时无需网络' },
    ],
    ['restart', { en: 'restart the stack', zh: '重启服务' }],
  ] as const) {
    const declared = command(
      name,
      about,
      async () => {
        const { startCommand, restartCommand } = await import('../commands/start.ts');
        return name === 'start' ? startCommand : restartCommand;
      },
      (_args, flags: { frontend?: boolean; dev?: boolean }) => flags,
    ).option('--no-frontend', t({ en: 'leave the frontend out', zh: '不启动前端' }));
    if (name === 'start') declared.option('--dev', t(DEV));
  }
  const dev = command(
    'dev [action]',
    { en: 'build images from these files and run them; down leaves it', zh: '用当前文件构建镜像并运行;down 退出' },
    async () => (await import('../commands/dev.ts')).devCommand,
    ([action = 'up'], flags: DevOptions) => ({ ...flags, action }),
  )
    .option('--no-frontend', t({ en: 'leave the frontend out', zh: '不启动前端' }))
    .option('--watch', t({ en: 'up: stay, and follow the sources as they change', zh: 'up:持续跟随源码变化' }));
  dev.registeredArguments[0]?.choices(['build', 'up', 'down']);
  command(
    'stop',
    { en: 'stop the stack; nothing is removed', zh: '停止服务,不删除任何东西' },
    async () => (await import('../commands/start.ts')).stopCommand,
    () => ({}),
  );
  command(
    'status',
    {
      en: 'show what runs, whether it is consistent, and what to type next',
      zh: '显示运行状况、版本是否一致以及下一步',
    },
    async () => (await import('../commands/status.ts')).statusCommand,
    () => ({}),
  );
  command(
    'logs [services...]',
    { en: 'show the logs of the stack or of some services', zh: '查看服务日志' },
    async () => (await import('../commands/logs.ts')).logsCommand,
    (services, flags: { follow?: boolean; tail?: string; services?: string[] }) => ({ ...flags, services }),
  )
    .option('-f, --follow', t({ en: 'go on as lines come', zh: '持续输出' }))
    .option('-n, --tail <lines>', t({ en: 'how many lines to begin with', zh: '从末尾多少行开始' }), '100');
  command(
    'history',
    { en: 'list the deployments of this machine', zh: '列出本机的部署历史' },
    async () => (await import('../commands/history.ts')).historyCommand,
    () => ({}),
  );
  command(
    'uninstall',
    { en: 'remove the stack; data stays unless --purge', zh: '卸载服务;除非 --purge,否则保留数据' },
    async () => (await import('../commands/uninstall.ts')).uninstallCommand,
    (_args, flags: { purge?: boolean; confirm?: string }) => flags,
  )
    .option('--purge', t({ en: 'also delete the data volumes', zh: '同时删除数据卷' }))
    .option(
      '--confirm <project>',
      t({ en: 'the Compose project name, to prove that you mean it', zh: 'Compose 项目名,用于确认' }),
    );
}
