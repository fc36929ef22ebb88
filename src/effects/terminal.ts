import type { Language, Text } from '../domain/text.ts';
import { eraseWaiting, whileWaiting } from './waiting.ts';

export type ProgressMode = 'tty' | 'plain' | 'json' | 'quiet';

/** Where a command speaks: the answer goes to stdout, the talk to stderr. The only place that writes to either. */
export interface Terminal {
  readonly language: Language;
  readonly colors: boolean;
  readonly columns: number;
  readonly progress: ProgressMode;
  /** Someone is there who can answer a question. */
  readonly interactive: boolean;
  readonly verbose: boolean;
  text(text: Text): string;
  /** A piece of the answer; a final newline is added. */
  answer(words: string): void;
  /** What somebody else wrote, as it is, to the same stream that they wrote it to. */
  pass(bytes: Uint8Array, stream: 'stdout' | 'stderr'): void;
  /** Says on a terminal what is going on while `work` takes longer than a second and is silent. */
  waiting<T>(words: Text, work: () => Promise<T>): Promise<T>;
  /** A line of talk; nothing in quiet mode. */
  say(words: string): void;
  /** A line of talk that must be heard in quiet mode too: warnings and errors. */
  warn(words: string): void;
}

export interface TerminalOptions {
  readonly lang: Language | undefined;
  readonly progress: ProgressMode | 'auto';
  readonly color: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export function openTerminal(options: TerminalOptions): Terminal {
  const { stdin, stdout, stderr, env } = process;
  const language = options.lang ?? languageOf(env);
  const smart = stderr.isTTY === true && env['TERM'] !== 'dumb' && env['CI'] === undefined;
  const progress = options.quiet ? 'quiet' : options.progress === 'auto' ? (smart ? 'tty' : 'plain') : options.progress;
  return {
    language,
    colors: options.color && colorsWanted(env, stderr.isTTY === true),
    // A terminal that nobody told its size says 0.
    columns: stderr.columns || 100,
    progress,
    interactive: stdin.isTTY === true && stderr.isTTY === true && !options.json,
    verbose: options.verbose,
    text: (text) => text[language],
    answer: (words) => {
      eraseWaiting();
      stdout.write(`${words}\n`);
    },
    pass: (bytes, stream) => {
      eraseWaiting();
      process[stream].write(bytes);
    },
    waiting: (words, work) => (progress === 'tty' ? whileWaiting(words[language], work) : work()),
    say: (words) => {
      if (progress === 'quiet') return;
      eraseWaiting();
      stderr.write(`${words}\n`);
    },
    warn: (words) => {
      eraseWaiting();
      stderr.write(`${words}\n`);
    },
  };
}

/** A reader that goes away (`| head`), or a terminal, is no failure of ours. */
export function survivePipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', ignoreClosedPipe);
}

/** Writes the one document of `--json`. Callbacks wait until the reader has it, however slow its pipe. */
export function writeDocument(document: unknown): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`${JSON.stringify(document)}\n`, () => resolve());
  });
}

/** Waits until everything written so far has left this process; an exit before would cut a pipe's reader short. */
export async function flushStreams(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => void stream.write('', () => resolve()));
  }
}

function languageOf(env: NodeJS.ProcessEnv): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  return /^zh/i.test(locale) ? 'zh' : 'en';
}

function colorsWanted(env: NodeJS.ProcessEnv, tty: boolean): boolean {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0') return true;
  return tty && env['TERM'] !== 'dumb';
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
}
