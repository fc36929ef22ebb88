import { redact } from '../domain/redact.ts';

/** Facts that belong to a line of a log. */
export type LogFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** What a service tells of itself, for machines to read. */
export interface Log {
  info(message: string, facts?: LogFacts): void;
  warn(message: string, facts?: LogFacts): void;
  error(message: string, facts?: LogFacts): void;
}

/**
 * A log of one JSON document a line.
 *
 * @param secrets are blotted out wherever they stand
 * @param write gets each line, with its end
 */
export function openLog(secrets: readonly string[], write: (line: string) => void): Log {
  const say =
    (level: string) =>
    (message: string, facts: LogFacts = {}): void => {
      const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...facts });
      write(`${redact(line, secrets)}\n`);
    };
  return { info: say('info'), warn: say('warn'), error: say('error') };
}
