import type { Command } from 'commander';
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { makeProgram } from '../../../src/cli.ts';

/** Every command with the words that it is called by. */
function commandsOf(command: Command, path: readonly string[] = []): [string, Command][] {
  const own: [string, Command] = [path.join(' '), command];
  return [own, ...command.commands.flatMap((sub) => commandsOf(sub, [...path, sub.name()]))];
}

describe.each(['en', 'zh'] as const)('the help of every command, in %s', (language) => {
  const commands = commandsOf(makeProgram(language, [], () => {}));
  const foreign = (text: string): boolean => text === '' || /\p{Script=Han}/u.test(text) !== (language === 'zh');

  test('is all of them', () => {
    expect(commands.map(([path]) => path)).toEqual(expect.arrayContaining(['update', 'worker add', 'task stop']));
    expect(commands.length).toBeGreaterThan(35);
  });

  test.each([40, 80])('reads well at %d columns', (columns) => {
    const wide: string[] = [];
    for (const [path, command] of commands) {
      command.configureOutput({ getOutHelpWidth: () => columns });
      const lines = command.helpInformation().split('\n');
      expect(lines.length).toBeGreaterThan(5);
      // What is to be typed is not broken.
      for (const line of lines)
        if (stringWidth(line) > columns && !/^(Usage|用法):/.test(line)) wide.push(`${path}: ${line}`);
    }
    expect(wide).toEqual([]);
  });

  test('says what each command, argument and flag is, in this language', () => {
    const wrong = commands.flatMap(([path, command]) => [
      ...(foreign(command.description()) ? [path] : []),
      ...command.registeredArguments
        .filter(({ description }) => description !== '' && foreign(description))
        .map((argument) => `${path} ${argument.name()}`),
      ...command.options
        .filter(({ hidden, description }) => !hidden && foreign(description))
        .map(({ flags }) => `${path} ${flags}`),
    ]);
    expect(wrong).toEqual([]);
  });
});
