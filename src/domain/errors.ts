import type { Text } from './text.ts';

/** Every way a command can end badly, and the process exit code of each (contract, section 3). */
export const EXIT_CODES = {
  FAILED: 1,
  BUG: 1,
  UNWELL: 1,
  USAGE: 2,
  BAD_INPUT: 2,
  BAD_CONFIG: 2,
  CONFIRMATION_NEEDED: 2,
  PARTIAL: 3,
  UNREACHABLE: 4,
  AUTHENTICATION: 4,
  HOST_KEY: 4,
  TIMEOUT: 4,
  LOCKED: 5,
  PRECONDITION: 6,
  EXISTS: 6,
  DIRTY_TREE: 6,
  IMAGE_MISSING: 6,
  DIGEST_DIFFERS: 6,
  ENGINE_MISSING: 6,
  DISK: 6,
  UNHEALTHY: 7,
  NOT_STARTED: 125,
  INTERRUPTED: 130,
  DECLINED: 130,
  TERMINATED: 143,
} as const;

export type ErrorCode = keyof typeof EXIT_CODES;

export interface ErrorDetails {
  /** What to type or do next. */
  readonly hint?: Text;
  /** The host on which it happened; the main server if absent. */
  readonly host?: string;
  /** Evidence to show below the message: the last log lines of a container, the output of a build. */
  readonly evidence?: string;
  readonly cause?: unknown;
}

/** A failure in the user's terms. Everything else that is thrown is a bug of ours. */
export class UserError extends Error {
  readonly code: ErrorCode;
  readonly text: Text;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, text: Text, details: ErrorDetails = {}) {
    super(text.en, { cause: details.cause });
    this.name = 'UserError';
    this.code = code;
    this.text = text;
    this.details = details;
  }

  get exitCode(): number {
    return EXIT_CODES[this.code];
  }

  /** The same failure with another thing to type next: whoever called may know better. */
  withHint(hint: Text): UserError {
    return new UserError(this.code, this.text, { ...this.details, hint });
  }
}

/** Throws a {@link UserError}; reads as a sentence at the place of the check. */
export function fail(code: ErrorCode, text: Text, details: ErrorDetails = {}): never {
  throw new UserError(code, text, details);
}

/** What to throw once the operator has asked to stop, by the signal that said so. */
export function interruption(signal: AbortSignal): UserError {
  return signal.reason === 'SIGTERM'
    ? new UserError('TERMINATED', { en: 'terminated', zh: '已被终止' })
    : new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' });
}
