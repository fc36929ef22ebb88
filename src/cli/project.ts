import type { DoctorOptions } from '../commands/doctor.ts';
import type { Declare } from './program.ts';

/** What is about the project itself and about xingrin: lock, config, backup, demo. */
export function declareProject({ t, command, heading }: Declare): void {
  heading({ en: 'Project:', zh: '项目:' });
  command(
    'lock',
    { en: 'show who is working on this project', zh: '显示谁正在操作本项目' },
    async () => (await import('../commands/lock.ts')).lockCommand,
    (_args, flags: { abandon?: boolean }) => flags,
  ).option(
    '--abandon',
    t({
      en: 'leave an interrupted operation as it is, where it can neither be finished nor undone',
      zh: '放弃既无法完成也无法撤销的中断操作,保持现状',
    }),
  );
  command(
    'recover',
    {
      en: 'finish or undo what was interrupted, and do nothing else',
      zh: '完成或撤销被中断的操作,不做其他事情',
    },
    async () => (await import('../commands/recover-command.ts')).recoverCommand,
    () => ({}),
  );
  command(
    'config [what]',
    { en: 'show the configuration in force, or its JSON Schema', zh: '显示生效的配置或其 JSON Schema' },
    async () => (await import('../commands/config.ts')).configCommand,
    (args) => ({ what: args[0] ?? 'show' }),
  ).registeredArguments[0]?.choices(['show', 'schema']);
  command(
    'schema [words...]',
    {
      en: 'print the JSON Schema of what a command says with --json: schema worker list',
      zh: '打印某命令 --json 文档的 JSON Schema:schema worker list',
    },
    async () => (await import('../commands/schema.ts')).schemaCommand,
    (words) => ({ words }),
  );
  command(
    'backup [action] [name]',
    {
      en: 'copies of docker/.env and the inventory: create, list, restore [name]',
      zh: 'docker/.env 与 worker 清单的备份:create 创建、list 列出、restore [name] 恢复',
    },
    async () => (await import('../commands/backup.ts')).backupCommand,
    ([action = 'list', name]) => ({ action, ...(name === undefined ? {} : { name }) }),
  ).registeredArguments[0]?.choices(['create', 'list', 'restore']);
  command(
    'doctor',
    {
      en: 'look whether all is well on every host; say what mends what is not',
      zh: '检查所有主机是否正常,并给出每个问题的处理方法',
    },
    async () => (await import('../commands/doctor.ts')).doctorCommand,
    (_args, flags: DoctorOptions) => flags,
  ).option('--fix', t({ en: 'mend what takes nothing away from anybody', zh: '自动处理不会造成任何损失的问题' }));
  command(
    'prune',
    {
      en: 'remove old images on all hosts; what one can go back to stays',
      zh: '清理所有主机上的旧镜像;可回退的部署不受影响',
    },
    async () => (await import('../commands/prune.ts')).pruneCommand,
    () => ({}),
  );
  command(
    'server',
    {
      en: 'run the control plane: what the xingrin-server image runs',
      zh: '运行控制面(xingrin-server 镜像所运行的程序)',
    },
    async () => (await import('../commands/server.ts')).serverCommand,
    () => ({}),
  );
  command(
    'demo',
    { en: 'walk the whole journey on this machine, for real', zh: '在本机真实演示完整流程' },
    async () => (await import('../commands/demo.ts')).demoCommand,
    (_args, flags: { keep?: boolean; clean?: boolean }) => flags,
  )
    .option('--keep', t({ en: 'leave it running at the end', zh: '结束后保持运行' }))
    .option('--clean', t({ en: 'remove what --keep left running', zh: '清除 --keep 保留的演示' }));
}
