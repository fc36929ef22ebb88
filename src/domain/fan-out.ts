import { fail } from './errors.ts';
import { quoted } from './quote.ts';

/** How a command goes to many hosts. */
export interface FanOut {
  /** So many hosts at a time. */
  readonly parallel: number;
  /** Milliseconds for the command on one host. */
  readonly timeout: number;
}

/** As typed; absent where nothing was. */
export interface FanOutFlags {
  readonly parallel?: string;
  readonly timeout?: string;
}

const PARALLEL = 32;
const TIMEOUT = 300;

/** Reads `--parallel` and `--timeout` (seconds). Throws USAGE (exit 2) naming flag and rule. */
export function parseFanOut({ parallel, timeout }: FanOutFlags): FanOut {
  return {
    parallel: whole('--parallel', parallel, PARALLEL, 1_000),
    timeout: whole('--timeout', timeout, TIMEOUT, 86_400) * 1000,
  };
}

function whole(flag: string, text: string | undefined, usual: number, most: number): number {
  if (text === undefined) return usual;
  const value = Number(text);
  if (/^\d{1,6}$/.test(text) && value >= 1 && value <= most) return value;
  return fail('USAGE', {
    en: `${flag} takes a whole number from 1 to ${most}, not ${quoted(text)}`,
    zh: `${flag} 须为 1 到 ${most} 的整数,而不是 ${quoted(text)}`,
  });
}
