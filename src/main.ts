import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { languageWanted } from './language.ts';

declare const XINGRIN_VERSION: string;

// The two questions that scripts ask all the time are answered before anything else is loaded.
const argv = process.argv.slice(2);
const answer = atOnce(argv);
if (answer === null) {
  // A command mostly waits for others, and ends soon: optimizing its code costs more than it gains (bench/ssh.ts). Not so a server.
  if (!argv.includes('server')) setFlagsFromString('--no-opt');
  void import('./cli.ts').then(async ({ main }) => {
    process.exitCode = await main(argv);
  });
} else {
  process.stdout.on('error', ignoreClosedPipe);
  process.stdout.write(answer);
}

function atOnce(words: readonly string[]): string | null {
  if (words.length === 1 && ['--version', '-V'].includes(words[0] ?? '')) return `${XINGRIN_VERSION}\n`;
  const [first = '', ...others] = words.filter((word, index) => !isLanguage(word, words[index - 1]));
  if (!['--help', '-h', 'help'].includes(first) || others.length > 0) return null;
  // Made for 80 columns when xingrin was built (scripts/build.mjs); a narrower terminal has it laid out anew.
  if (process.stdout.isTTY && process.stdout.columns < 80) return null;
  try {
    return readFileSync(join(__dirname, `help.${languageWanted(words)}.txt`), 'utf8');
  } catch {
    return null;
  }
}

function isLanguage(word: string, before: string | undefined): boolean {
  return /^--lang(=(en|zh))?$/.test(word) || (before === '--lang' && ['en', 'zh'].includes(word));
}

/** A reader that goes away (`| head`) is no failure of ours. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
