import type { Text } from '../domain/text.ts';
import type { TransportKind } from '../effects/key-ring.ts';
import type { Terminal } from '../effects/terminal.ts';
import type { Json } from '../plan/plan.ts';
import type { Palette } from '../ui/colors.ts';

/** The global flags, after the command line has been read. */
export interface Globals {
  /** The folder in which the project is looked for, upwards. */
  readonly project: string;
  readonly json: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly detailedExitcode: boolean;
  /** What makes SSH connections. */
  readonly transport: TransportKind;
}

/** What every command is given: the flags, the terminal, the operator's wish to stop, the time. */
export interface Session {
  readonly globals: Globals;
  readonly terminal: Terminal;
  readonly paint: Palette;
  /** Fires at the first Ctrl-C or SIGTERM; its reason is the signal's name. */
  readonly signal: AbortSignal;
  readonly now: () => Date;
  /** The mark of this process in the environment of its children. */
  readonly process: string;
  /** Says a warning and keeps it for the JSON document. */
  warn(text: Text): void;
}

/** What a command answers. */
export interface Report {
  /** 0 if absent. */
  readonly exitCode?: number;
  /** The `data` of the JSON document. */
  readonly data: { readonly [key: string]: Json };
  /** The answer for a person, printed to stdout; nothing if absent. */
  readonly text?: string;
}

/** A failure that has something to report beside the error itself: the steps that were done and undone. */
export class ReportedFailure extends Error {
  readonly error: unknown;
  readonly report: Report;
  constructor(error: unknown, report: Report) {
    super(error instanceof Error ? error.message : String(error), { cause: error });
    this.name = 'ReportedFailure';
    this.error = error;
    this.report = report;
  }
}
