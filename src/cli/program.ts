import { Command, CommanderError, Help, Option } from 'commander';
import type { Report, Session } from '../commands/session.ts';
import type { Language, Text } from '../domain/text.ts';
import { wrapped } from '../ui/layout.ts';
import { narrowItem } from './narrow.ts';

/** A command that was asked for: it runs after the whole command line has been understood. */
export interface Call {
  /** As typed: `update`, `worker add`. */
  readonly name: string;
  readonly run: (session: Session) => Promise<Report>;
}

/** A command's body: loaded only when it is called. */
type Body<O> = (session: Session, options: O) => Promise<Report>;

/** Puts commands into the program. Their texts are in both languages; a command's body is imported when it runs. */
export interface Declare {
  /** The words of a text in the language that was asked for. */
  readonly t: (text: Text) => string;
  /** @param collect turns arguments and flags, as commander has them, into the body's options */
  command<O>(
    signature: string,
    about: Text,
    load: () => Promise<Body<O>>,
    collect: (args: string[], flags: O) => O,
  ): Command;
  /** The heading in the help above the commands that follow. */
  heading(text: Text): void;
  /** A command that has only subcommands. */
  group(name: string, about: Text): Declare;
}

const CHINESE_TITLES: Readonly<Record<string, string>> = {
  'Usage:': '用法:',
  'Options:': '选项:',
  'Global Options:': '全局选项:',
  'Commands:': '命令:',
  'Arguments:': '参数:',
};

/**
 * An empty program with the global flags.
 *
 * @param complaints receives what commander would have printed
 */
export function openProgram(language: Language, complaints: string[]): Command {
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
      formatItem(term, width, description, helper) {
        const narrow = narrowItem(term, description, helper);
        return narrow ?? Help.prototype.formatItem.call(helper, term, width, description, helper);
      },
      optionDescription(option) {
        const said = Help.prototype.optionDescription.call(this, option);
        return language === 'zh' ? said.replace('choices: ', '可选:').replace('default: ', '默认:') : said;
      },
      boxWrap: (text, width) => wrapped(text, width).join('\n'),
      styleTitle: (title) => (language === 'zh' ? (CHINESE_TITLES[title] ?? title) : title),
    })
    .showSuggestionAfterError(true)
    .configureOutput({ writeErr: (words) => void complaints.push(words) })
    .exitOverride();
  for (const option of globalOptions(t)) program.addOption(option);
  return program;
}

/** @param onCall is told which command was asked for; nothing has run yet */
export function declareIn(parent: Command, language: Language, onCall: (call: Call) => void): Declare {
  const t = (text: Text): string => text[language];
  return {
    t,
    command(signature, about, load, collect) {
      const sub = parent.command(signature).description(t(about));
      sub.action(() => {
        const args = sub.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string');
        const options = collect(args, sub.opts() as never);
        onCall({ name: nameOf(sub), run: async (session) => (await load())(session, options) });
      });
      return sub;
    },
    heading: (text) => void parent.commandsGroup(t(text)),
    group: (name, about) => declareIn(parent.command(name).description(t(about)), language, onCall),
  };
}

/** What {@link CommanderError}s of our own are called. */
export const GIVEN_TWICE = 'xingrin.givenTwice';

/** A flag that takes one value is not given two: whichever was taken, half of those who type it would have meant the other. */
export function refuseSecondValues(command: Command): void {
  for (const option of command.options) {
    const takesOne = (option.required || option.optional) && !option.variadic;
    const collects = option.parseArg !== undefined && option.argChoices === undefined;
    if (!takesOne || collects) continue;
    let first: string | undefined;
    command.on(`option:${option.name()}`, (value: string) => {
      if (first !== undefined && first !== value)
        throw new CommanderError(2, GIVEN_TWICE, `error: option '${option.flags}' was given twice`);
      first = value;
    });
  }
  for (const each of command.commands) refuseSecondValues(each);
}

function nameOf(command: Command): string {
  const { parent } = command;
  return parent === null || parent.parent === null ? command.name() : `${nameOf(parent)} ${command.name()}`;
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
    new Option('--transport <kind>', t({ en: 'what makes SSH connections', zh: '建立 SSH 连接的方式' }))
      .choices(['node', 'openssh'])
      .default('node'),
    new Option('-v, --verbose', t({ en: 'say more', zh: '输出更多信息' })),
    new Option('-q, --quiet', t({ en: 'say nothing but warnings and errors', zh: '只输出警告和错误' })),
    new Option('--no-color', t({ en: 'no colours', zh: '不使用颜色' })),
    new Option('--lang <language>', t({ en: 'language', zh: '语言' })).choices(['en', 'zh']),
  ];
}
