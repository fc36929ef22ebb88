import * as z from 'zod';
import { jsonOrNull } from './json.ts';

/** What an engine answered to a request of HTTP. */
export interface EngineAnswer {
  readonly status: number;
  /** Its words where it refused; empty if it has none. */
  readonly message: string;
}

const refusal = z.object({ message: z.string() });

/** Reads the answer to a request of HTTP/1.0; null if it is none. */
export function readEngineAnswer(text: string): EngineAnswer | null {
  const [, status] = /^HTTP\/1\.[01] ([1-5]\d\d)[ \r]/.exec(text) ?? [];
  const body = text.indexOf('\r\n\r\n');
  if (status === undefined || body < 0) return null;
  const said = refusal.safeParse(jsonOrNull(text.slice(body + 4)));
  return { status: Number(status), message: said.success ? said.data.message : '' };
}
