import { execa } from 'execa';

export interface RunOptions {
  readonly cwd?: string;
  /** The whole environment of the child; the caller's own environment if absent. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** Leaves the input open behind that until the child ends. */
  readonly holdInput?: boolean;
  /** Milliseconds after which the child is ended; no limit if absent. */
  readonly timeout?: number;
  /** Ends the child, gracefully first, when it fires. */
  readonly signal?: AbortSignal;
  /** Called for each line of either stream as it comes. */
  readonly onLine?: (line: string) => void;
  /** Takes both streams as they come, byte for byte; the result's texts stay empty then. */
  readonly onOutput?: (chunk: Uint8Array, stream: 'stdout' | 'stderr') => void;
  /** The child writes to and reads from our own terminal. */
  readonly inherit?: boolean;
}

export interface RunResult {
  /** Exit code; 127 if the program does not exist, 126 if it may not be run, 124 after the time limit, 128+n after a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Milliseconds between asking a child to end and killing it. */
const GRACE = 5_000;

/**
 * Runs a program without a shell. Never throws for what the program does: look at `code`.
 *
 * @param argv program and its arguments, each as it is
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file, ...args] = argv;
  if (file === undefined) throw new Error('run: empty argv');
  const child = execa(file, args, {
    reject: false,
    stripFinalNewline: false,
    extendEnv: options.env === undefined,
    forceKillAfterDelay: GRACE,
    maxBuffer: 64 * 1024 * 1024,
    buffer: options.onOutput === undefined,
    ...(options.inherit
      ? { stdio: 'inherit' as const }
      : { stdin: options.input === undefined ? ('ignore' as const) : ('pipe' as const) }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: definedOnly(options.env) }),
    ...(options.input === undefined || options.holdInput ? {} : { input: options.input }),
    ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  if (options.holdInput && options.input !== undefined) child.stdin?.on('error', () => {}).write(options.input);
  if (options.onLine !== undefined && !options.inherit) {
    const onLine = options.onLine;
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, onLine);
  }
  if (options.onOutput !== undefined && !options.inherit) {
    const { onOutput } = options;
    child.stdout?.on('data', (chunk: Uint8Array) => onOutput(chunk, 'stdout'));
    child.stderr?.on('data', (chunk: Uint8Array) => onOutput(chunk, 'stderr'));
  }
  const result = await child;
  return { code: exitCodeOf(result), stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
}

function exitCodeOf(result: {
  readonly exitCode?: number | undefined;
  readonly timedOut: boolean;
  readonly signal?: string | undefined;
  readonly code?: string | undefined;
}): number {
  if (result.timedOut) return 124;
  if (result.exitCode !== undefined) return result.exitCode;
  if (result.code === 'ENOENT') return 127;
  if (result.code === 'EACCES') return 126;
  const numbers: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
  return 128 + (numbers[result.signal ?? 'SIGTERM'] ?? 15);
}

function eachLine(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  let rest = '';
  stream?.on('data', (chunk: Buffer | string) => {
    const lines = (rest + chunk.toString()).split(/\r?\n|\r/);
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream?.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
