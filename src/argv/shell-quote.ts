import { fail } from '../domain/errors.ts';

/**
 * One command line for the login shell at the far end of an SSH connection, which gets text and nothing else: every word in single
 * quotes, in which a POSIX shell gives no character a meaning. The only place where words become shell text.
 *
 * @throws BAD_INPUT (exit 2) for a NUL, which no argument can hold
 */
export function shellCommand(argv: readonly string[]): string {
  if (argv.length === 0) throw new Error('shellCommand: empty argv');
  return argv.map(shellWord).join(' ');
}

function shellWord(word: string): string {
  if (word.includes('\0')) {
    fail('BAD_INPUT', { en: 'an argument holds a NUL character', zh: '参数中含有 NUL 字符' });
  }
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
