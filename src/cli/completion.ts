import type { Argument, Command, Option } from 'commander';
import type { CompletionOptions } from '../commands/completion.ts';
import type { CommandNode, OptionNode } from '../domain/completion.ts';
import type { Declare } from './program.ts';

/** `completion`, which knows the whole tree that it is a part of. */
export function declareCompletion({ t, command }: Declare): void {
  const declared: Command = command(
    'completion [args...]',
    { en: 'complete words in bash, zsh or fish: completion SHELL', zh: '在 bash、zsh、fish 中补全:completion SHELL' },
    async () => (await import('../commands/completion.ts')).completionCommand,
    (args, flags: CompletionOptions): CompletionOptions => ({
      ...flags,
      args,
      tree: treeOf(declared.parent ?? declared),
    }),
  ).option('--words', t({ en: 'what a shell asks: the words that may follow', zh: '供 shell 查询可补全的词' }));
}

function treeOf(command: Command): CommandNode {
  return {
    name: command.name(),
    about: command.description(),
    options: command.options.filter(({ hidden }) => !hidden).map(optionOf),
    args: command.registeredArguments.map(argumentOf),
    children: command.commands.map(treeOf),
  };
}

function optionOf({ short, long, description, required, optional, argChoices, flags }: Option): OptionNode {
  const value = required || optional ? (/[<[]([^\]>.]+)/.exec(flags)?.[1] ?? '') : null;
  const names = [short, long].filter((name): name is string => typeof name === 'string');
  return { flags: names, about: description, value, choices: argChoices ?? [] };
}

function argumentOf(argument: Argument): CommandNode['args'][number] {
  return { name: argument.name(), many: argument.variadic, choices: argument.argChoices ?? [] };
}
