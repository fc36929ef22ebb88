import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { markChildren } from '../effects/orphans.ts';
import { flushStreams, openTerminal, writeDocument, type Terminal, type TerminalOptions } from '../effects/terminal.ts';
import type { Json } from '../plan/plan.ts';
import { palette } from '../ui/colors.ts';
import { renderError } from '../ui/errors.ts';
import { ReportedFailure, type Globals, type Report, type Session } from './session.ts';

/** Runs one command from session to exit code: the only place that turns reports and errors into output. */
export async function runCommand(
  name: string,
  run: (session: Session) => Promise<Report>,
  globals: Globals,
  terminalOptions: TerminalOptions,
): Promise<number> {
  const terminal = openTerminal(terminalOptions);
  const paint = palette(terminal.colors);
  const warnings: Text[] = [];
  const interruption = new AbortController();
  const forget = listenForSignals(interruption, terminal);
  const session: Session = {
    globals,
    terminal,
    paint,
    signal: interruption.signal,
    now: () => new Date(),
    process: markChildren(),
    warn(text) {
      warnings.push(text);
      terminal.warn(`${paint.caution(terminal.language === 'zh' ? '注意' : 'warning')} ${terminal.text(text)}`);
    },
  };
  try {
    const report = await run(session);
    const exitCode = report.exitCode ?? 0;
    if (globals.json) await writeDocument(documentOf(name, exitCode, report.data, warnings, terminal, null));
    else if (report.text !== undefined && report.text !== '') terminal.answer(report.text);
    return exitCode;
  } catch (thrown) {
    const { error, data } = unwrap(thrown);
    return await tellFailure(name, terminated(error, interruption.signal), data, warnings, terminal, globals.json);
  } finally {
    forget();
    await flushStreams();
  }
}

/** Reports a failure that came before any command could run. */
export async function reportFailure(name: string, error: UserError, options: TerminalOptions): Promise<number> {
  const code = await tellFailure(name, error, {}, [], openTerminal(options), options.json);
  await flushStreams();
  return code;
}

async function tellFailure(
  name: string,
  error: unknown,
  data: Report['data'],
  warnings: readonly Text[],
  terminal: Terminal,
  json: boolean,
): Promise<number> {
  const known = error instanceof UserError ? error : bug(error);
  if (json) await writeDocument(documentOf(name, known.exitCode, data, warnings, terminal, known));
  terminal.warn(renderError(known, terminal.language, palette(terminal.colors)));
  return known.exitCode;
}

/** Whatever was interrupted says so in the same way; what did it decides about the exit code. */
function terminated(error: unknown, signal: AbortSignal): unknown {
  if (signal.reason !== 'SIGTERM' || !(error instanceof UserError) || error.code !== 'INTERRUPTED') return error;
  return new UserError('TERMINATED', error.text, error.details);
}

function unwrap(thrown: unknown): { error: unknown; data: Report['data'] } {
  return thrown instanceof ReportedFailure
    ? { error: thrown.error, data: thrown.report.data }
    : { error: thrown, data: {} };
}

function documentOf(
  command: string,
  exitCode: number,
  data: Report['data'],
  warnings: readonly Text[],
  terminal: Terminal,
  error: UserError | null,
): { [key: string]: Json } {
  const ok = exitCode === 0;
  const base = {
    schema: 'xingrin/v1',
    command,
    ok,
    exitCode,
    data,
    warnings: warnings.map((text) => terminal.text(text)),
  };
  if (error === null) return base;
  const { hint, host, evidence } = error.details;
  return {
    ...base,
    error: {
      code: error.code,
      message: terminal.text(error.text),
      ...(hint === undefined ? {} : { hint: terminal.text(hint) }),
      ...(host === undefined ? {} : { host }),
      ...(evidence === undefined ? {} : { evidence }),
    },
  };
}

/** An error nobody foresaw is ours to mend; its stack is the evidence. */
function bug(error: unknown): UserError {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? message) : message;
  return new UserError(
    'BUG',
    { en: `xingrin met an error it did not expect: ${message}`, zh: `xingrin 遇到了意料之外的错误:${message}` },
    { evidence: stack, cause: error },
  );
}

/**
 * The first signal asks for a graceful end (what was begun is undone), the second ends the process at once. A terminal that goes
 * away (a connection that is cut) asks for the same as SIGTERM, and once only: nobody is there to insist.
 */
function listenForSignals(interruption: AbortController, terminal: Terminal): () => void {
  const listener = (signal: NodeJS.Signals): void => {
    const code = signal === 'SIGINT' ? 130 : 143;
    if (interruption.signal.aborted && signal === 'SIGHUP') return;
    if (interruption.signal.aborted) process.exit(code);
    interruption.abort(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    const zh = '正在收尾;再按一次 Ctrl-C 立即退出(下次运行时会恢复)';
    const en = 'ending gracefully; Ctrl-C again to leave at once (the next run will recover)';
    terminal.warn(terminal.language === 'zh' ? zh : en);
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  process.on('SIGHUP', listener);
  return () => {
    process.off('SIGINT', listener);
    process.off('SIGTERM', listener);
    process.off('SIGHUP', listener);
  };
}
