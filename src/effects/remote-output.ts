import { StringDecoder } from 'node:string_decoder';
import { ANNOUNCED } from '../argv/remote-process.ts';
import type { ExecOptions, Stream } from './transport.ts';

/** Puts chunks together, also where one ends in the middle of a character, and tells each line; or passes them on as they are. */
export function collect(
  options: Pick<ExecOptions, 'onLine' | 'onOutput'>,
  stream: Stream,
): { take: (chunk: Buffer) => void; end: () => string } {
  const { onLine, onOutput } = options;
  if (onOutput !== undefined) return { take: (chunk) => onOutput(chunk, stream), end: () => '' };
  const decoder = new StringDecoder('utf8');
  let text = '';
  let told = 0;
  const tell = (upTo: number): void => {
    const lines = text.slice(told, upTo).split(/\r?\n|\r/);
    told = upTo;
    for (const line of lines) if (line !== '') onLine?.(line);
  };
  return {
    take(chunk) {
      text += decoder.write(chunk);
      const last = text.lastIndexOf('\n') + 1;
      if (onLine !== undefined && last > told) tell(last);
    },
    end() {
      text += decoder.end();
      if (onLine !== undefined && told < text.length) tell(text.length);
      return text;
    },
  };
}

/** What an announced program writes to stdout: up to the line with its process number it is not its own, the rest is passed on. */
export function announcedOutput(take: (chunk: Buffer) => void): {
  take: (chunk: Buffer) => void;
  pid: () => string | null;
} {
  let pid: string | null = null;
  let head = Buffer.alloc(0);
  return {
    take(chunk) {
      if (pid !== null) return take(chunk);
      head = Buffer.concat([head, chunk]);
      const start = head.indexOf(`\n${ANNOUNCED}`) + 1;
      const end = start === 0 ? -1 : head.indexOf('\n', start);
      if (end < 0) return;
      pid = head.subarray(start + ANNOUNCED.length, end).toString('latin1');
      if (end + 1 < head.length) take(head.subarray(end + 1));
    },
    pid: () => pid,
  };
}
