import type { CommanderError } from 'commander';
import { UserError } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';
import { GIVEN_TWICE } from './program.ts';

/** What commander says in English, in Chinese; `$` is what it names. By its code, never by its words. */
const CHINESE: Readonly<Record<string, string>> = {
  'commander.unknownCommand': '没有命令 $',
  'commander.unknownOption': '没有选项 $',
  'commander.missingArgument': '缺少参数 $',
  'commander.optionMissingArgument': '选项 $ 缺少值',
  'commander.excessArguments': '参数过多',
  'commander.invalidArgument': '$ 的值无效',
  [GIVEN_TWICE]: '选项 $ 给出了两次',
};

/** A mistake on the command line: what it is, and what was likely meant (exit 2). */
export function usageError(cause: CommanderError, words: string): UserError {
  const said = (words === '' ? cause.message : words).replace(/^error: /, '').trim();
  const [, meant] = /\(Did you mean (?:one of )?([^?]+)\?\)/.exec(said) ?? [];
  const message = said.replace(/\s*\(Did you mean [^)]*\)/, '');
  const [, named = ''] = /'([^']*)'/.exec(message) ?? [];
  const [, allowed] = /Allowed choices are (.+?)\.?$/.exec(message) ?? [];
  const pattern = CHINESE[cause.code];
  const zh =
    pattern === undefined ? message : pattern.replace('$', named) + (allowed === undefined ? '' : `:可选 ${allowed}`);
  const hint: Text =
    meant === undefined ? same('xingrin --help') : { en: `did you mean ${meant}?`, zh: `是否想输入 ${meant}?` };
  return new UserError('USAGE', { en: message, zh }, { hint, cause });
}
