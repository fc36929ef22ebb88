import { Command, CommanderError, Option } from 'commander';
import type { Globals, Report, Session } from './commands/session.ts';
import { UserError } from './domain/errors.ts';
import type { Language, Text } from './domain/text.ts';
import { survivePipes, type TerminalOptions } from './effects/terminal.ts';

/** A command's body: loaded only when it is called. */
type Body<O> = (session: Session, options: O) => Promise<Report>;

interface Call {
  readonly name: string;
  readonly run: (session: Session) => Promise<Report>;
}

/** Reads the command line, runs one command, says how it went. Resolves to the process exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  survivePipes();
  const language = languageWanted(argv);
  let call: Call | undefined;
  let globals: Record<string, unknown> = {};
  const complaints: string[] = [];
  const program = buildProgram(language, complaints, (name, run) => {
    call = { name, run };
    globals = program.opts();
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return reportUsage(error, complaints.join(''), argv, language);
  }
  const { runCommand } = await import('./commands/run-command.ts');
  if (call === undefined) return 0;
  return runCommand(call.name, call.run, globalsOf(globals), terminalOf(globals, language));
}

function buildProgram(
  language: Language,
  complaints: string[],
  onCall: (name: string, run: Call['run']) => void,
): Command {
  const t = (text: Text): string => text[language];
  const program = new Command('xingrin');
  program
    .description(
      t({
        en: 'From a git tag to a running stack on one version, and back.',
        zh: '从 git 标签到全部运行在同一版本,并且随时可以回退。',
      }),
    )
    .helpOption('-h, --help', t({ en: 'show help', zh: '显示帮助' }))
    .helpCommand('help [command]', t({ en: 'show help for a command', zh: '显示某个命令的帮助' }))
    .addHelpText(
      'after',
      `\n${t({ en: 'xingrin --version prints the version.', zh: 'xingrin --version 显示版本号。' })}`,
    )
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => (language === 'zh' ? (CHINESE_TITLES[title] ?? title) : title),
    })
    .showSuggestionAfterError(true)
    .configureOutput({ writeErr: (words) => void complaints.push(words) })
    .exitOverride();
  for (const option of globalOptions(t)) program.addOption(option);

  /** A subcommand whose action only notes what was asked; it runs after parsing has succeeded. */
  const command = <O>(
    signature: string,
    about: Text,
    load: () => Promise<Body<O>>,
    collect: (args: string[], flags: O) => O,
  ): Command => {
    const sub = program.command(signature).description(t(about));
    sub.action((...received: unknown[]) => {
      const flags = sub.opts() as O;
      const args = received
        .slice(0, sub.registeredArguments.length)
        .flat()
        .filter((arg): arg is string => typeof arg === 'string');
      const options = collect(args, flags);
      onCall(sub.name(), async (session) => (await load())(session, options));
    });
    return sub;
  };
  declareCommands(command, t);
  return program;
}

type Declare = <O>(
  signature: string,
  about: Text,
  load: () => Promise<Body<O>>,
  collect: (args: string[], flags: O) => O,
) => Command;

const CHINESE_TITLES: Readonly<Record<string, string>> = {
  'Usage:': '用法:',
  'Options:': '选项:',
  'Commands:': '命令:',
  'Arguments:': '参数:',
};

interface VersionFlags {
  version?: string;
  publish?: boolean;
  wait?: boolean;
  image?: string;
  finalize?: boolean;
}

function declareCommands(command: Declare, t: (text: Text) => string): void {
  const versionArgument = (args: string[], flags: VersionFlags): VersionFlags => ({
    ...flags,
    ...(args[0] === undefined ? {} : { version: args[0] }),
  });

  command(
    'init [directory]',
    { en: 'write a complete, working project', zh: '生成一个完整可用的项目' },
    async () => (await import('./commands/init.ts')).initCommand,
    (args) => ({ directory: args[0] ?? '.' }),
  );
  command(
    'release [version]',
    {
      en: 'cut a release: check, commit VERSION, tag, push the tag',
      zh: '发布新版本:检查、提交 VERSION、打标签并推送标签',
    },
    async () => (await import('./commands/release.ts')).releaseCommand,
    versionArgument,
  )
    .option('--publish', t({ en: 'go on to build and publish here', zh: '接着在本机构建并发布镜像' }))
    .option('--wait', t({ en: 'wait until CI has published it', zh: '等待 CI 发布完成' }));
  command(
    'publish [version]',
    {
      en: "build and push a git tag's images, then move VERSION",
      zh: '构建并推送某个标签的镜像,全部就绪后才更新 VERSION',
    },
    async () => (await import('./commands/publish.ts')).publishCommand,
    versionArgument,
  )
    .option('--image <name>', t({ en: 'build and push only this image', zh: '只构建并推送这一个镜像' }))
    .option(
      '--finalize',
      t({
        en: 'only verify that all images exist, then move VERSION and latest',
        zh: '只核对镜像是否齐全,然后更新 VERSION 和 latest',
      }),
    );
  command(
    'install',
    { en: 'set this machine up as the main server', zh: '把本机安装为主服务器' },
    async () => (await import('./commands/install.ts')).installCommand,
    (_args, flags) => flags,
  )
    .option('--version <version>', t({ en: 'install this version', zh: '安装指定版本' }))
    .option('--no-frontend', t({ en: 'leave the frontend out', zh: '不启动前端' }));
  command(
    'update [version]',
    { en: 'bring everything to the new version, or back to the old one', zh: '把一切更新到新版本,失败则回到旧版本' },
    async () => (await import('./commands/update.ts')).updateCommand,
    versionArgument,
  );
  command(
    'rollback [version]',
    { en: 'go back to the previous or a named deployment', zh: '回退到上一次或指定的部署' },
    async () => (await import('./commands/rollback.ts')).rollbackCommand,
    versionArgument,
  );
  for (const [name, about] of [
    [
      'start',
      { en: 'start the stack; needs no network when the images are here', zh: '启动服务;镜像在本机时无需网络' },
    ],
    ['restart', { en: 'restart the stack', zh: '重启服务' }],
  ] as const) {
    command(
      name,
      about,
      async () => {
        const { startCommand, restartCommand } = await import('./commands/start.ts');
        return name === 'start' ? startCommand : restartCommand;
      },
      (_args, flags: { frontend?: boolean }) => flags,
    ).option('--no-frontend', t({ en: 'leave the frontend out', zh: '不启动前端' }));
  }
  command(
    'stop',
    { en: 'stop the stack; nothing is removed', zh: '停止服务,不删除任何东西' },
    async () => (await import('./commands/start.ts')).stopCommand,
    () => ({}),
  );
  command(
    'status',
    {
      en: 'show what runs, whether it is consistent, and what to type next',
      zh: '显示运行状况、版本是否一致以及下一步',
    },
    async () => (await import('./commands/status.ts')).statusCommand,
    () => ({}),
  );
  command(
    'logs [services...]',
    { en: 'show the logs of the stack or of some services', zh: '查看服务日志' },
    async () => (await import('./commands/logs.ts')).logsCommand,
    (services, flags: { follow?: boolean; tail?: string; services?: string[] }) => ({ ...flags, services }),
  )
    .option('-f, --follow', t({ en: 'go on as lines come', zh: '持续输出' }))
    .option('-n, --tail <lines>', t({ en: 'how many lines to begin with', zh: '从末尾多少行开始' }), '100');
  command(
    'history',
    { en: 'list the deployments of this machine', zh: '列出本机的部署历史' },
    async () => (await import('./commands/history.ts')).historyCommand,
    () => ({}),
  );
  command(
    'uninstall',
    { en: 'remove the stack; data stays unless --purge', zh: '卸载服务;除非 --purge,否则保留数据' },
    async () => (await import('./commands/uninstall.ts')).uninstallCommand,
    (_args, flags: { purge?: boolean; confirm?: string }) => flags,
  )
    .option('--purge', t({ en: 'also delete the data volumes', zh: '同时删除数据卷' }))
    .option(
      '--confirm <project>',
      t({ en: 'the Compose project name, to prove that you mean it', zh: 'Compose 项目名,用于确认' }),
    );
  command(
    'lock',
    { en: 'show who is working on this project', zh: '显示谁正在操作本项目' },
    async () => (await import('./commands/lock.ts')).lockCommand,
    () => ({}),
  );
  command(
    'config [what]',
    { en: 'show the configuration in force, or its JSON Schema', zh: '显示生效的配置或其 JSON Schema' },
    async () => (await import('./commands/config.ts')).configCommand,
    (args) => ({ what: args[0] ?? 'show' }),
  );
  command(
    'backup [action] [name]',
    { en: 'keep, list and bring back copies of docker/.env', zh: '备份 docker/.env、列出备份、恢复备份' },
    async () => (await import('./commands/backup.ts')).backupCommand,
    ([action = 'list', name]) => ({ action, ...(name === undefined ? {} : { name }) }),
  ).registeredArguments[0]?.choices(['create', 'list', 'restore']);
  command(
    'demo',
    { en: 'walk the whole journey on this machine, for real', zh: '在本机真实演示完整流程' },
    async () => (await import('./commands/demo.ts')).demoCommand,
    (_args, flags: { keep?: boolean; clean?: boolean }) => flags,
  )
    .option('--keep', t({ en: 'leave it running at the end', zh: '结束后保持运行' }))
    .option('--clean', t({ en: 'remove what --keep left running', zh: '清除 --keep 保留的演示' }));
}

function globalOptions(t: (text: Text) => string): Option[] {
  return [
    new Option(
      '-C, --project <directory>',
      t({ en: 'the project, or a folder inside it', zh: '项目目录(或其子目录)' }),
    ),
    new Option('--json', t({ en: 'one JSON document on stdout', zh: '在标准输出打印一个 JSON 文档' })),
    new Option('--progress <mode>', t({ en: 'how progress is shown', zh: '进度显示方式' }))
      .choices(['auto', 'tty', 'plain', 'json', 'quiet'])
      .default('auto'),
    new Option('-y, --yes', t({ en: 'answer yes to every question', zh: '对所有询问回答“是”' })),
    new Option('--dry-run', t({ en: 'stop after showing the plan', zh: '只显示计划,不执行' })),
    new Option('--detailed-exitcode', t({ en: 'exit 8 from a dry run with changes', zh: '有待执行的变更时以 8 退出' })),
    new Option('-v, --verbose', t({ en: 'say more', zh: '输出更多信息' })),
    new Option('-q, --quiet', t({ en: 'say nothing but warnings and errors', zh: '只输出警告和错误' })),
    new Option('--no-color', t({ en: 'no colours', zh: '不使用颜色' })),
    new Option('--lang <language>', t({ en: 'language', zh: '语言' })).choices(['en', 'zh']),
  ];
}

/** The language must be known before the help texts are made, so this one flag is read by hand. */
function languageWanted(argv: readonly string[]): Language {
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (word === '--lang=zh' || (word === '--lang' && argv[index + 1] === 'zh')) return 'zh';
    if (word === '--lang=en' || (word === '--lang' && argv[index + 1] === 'en')) return 'en';
  }
  const { LC_ALL, LC_MESSAGES, LANG } = process.env;
  return /^zh/i.test(LC_ALL || LC_MESSAGES || LANG || '') ? 'zh' : 'en';
}

function globalsOf(flags: Record<string, unknown>): Globals {
  return {
    project: typeof flags['project'] === 'string' ? flags['project'] : '.',
    json: flags['json'] === true,
    yes: flags['yes'] === true,
    dryRun: flags['dryRun'] === true,
    detailedExitcode: flags['detailedExitcode'] === true,
  };
}

function terminalOf(flags: Record<string, unknown>, lang: Language): TerminalOptions {
  const progress = flags['progress'] as TerminalOptions['progress'];
  return {
    lang,
    progress: progress === 'auto' && flags['json'] === true ? 'plain' : progress,
    color: flags['color'] !== false,
    json: flags['json'] === true,
    quiet: flags['quiet'] === true,
    verbose: flags['verbose'] === true,
  };
}

/** Help and `--version` end well; everything else that commander throws is a mistake on the command line (exit 2). */
async function reportUsage(
  error: CommanderError,
  words: string,
  argv: readonly string[],
  language: Language,
): Promise<number> {
  if (error.exitCode === 0) return 0;
  const askedForHelp = error.code === 'commander.help';
  if (askedForHelp) {
    process.stderr.write(words);
    return 2;
  }
  const { reportFailure } = await import('./commands/run-command.ts');
  const message = words.replace(/^error: /, '').trim();
  const usage = new UserError(
    'USAGE',
    { en: message, zh: message },
    { hint: { en: 'xingrin --help', zh: 'xingrin --help' }, cause: error },
  );
  const json = argv.includes('--json');
  return reportFailure('xingrin', usage, {
    lang: language,
    progress: 'plain',
    color: !argv.includes('--no-color'),
    json,
    quiet: false,
    verbose: false,
  });
}
