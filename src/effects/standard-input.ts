import { text } from 'node:stream/consumers';

/** The first line that is piped to us, without its end; an empty text if nothing is. */
export async function readFirstLine(): Promise<string> {
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
  return line;
}
