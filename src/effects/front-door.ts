import { request } from 'node:https';

/** Where a stack is entered, and by which authority it is known. */
export interface FrontDoor {
  readonly host: string;
  readonly port: number;
  /** Certificates (PEM) of the authority that its own must come from; null for the usual authorities. */
  readonly authority: string | null;
  /** Ends all waiting at it. */
  readonly signal: AbortSignal;
}

/** How a front door answered those who knocked at a steady beat. */
export interface Watched {
  readonly knocks: number;
  /** Seconds in which whoever knocked got no answer, or an error. */
  readonly away: number;
  /** The longest anybody waited for a good answer, in seconds. */
  readonly slowest: number;
}

/** Milliseconds between two knocks, and how long one waits. */
const BEAT = 100;
const PATIENCE = 10_000;

/**
 * A GET through the front door on a connection of its own, with its certificate verified.
 *
 * @param token shown as a bearer token
 * @param limit milliseconds for the whole answer
 * @param language that texts for people are wished in
 * @returns the body of an answer with status 200; null for every other one, and where none came
 */
export function enter(
  door: FrontDoor,
  path: string,
  token?: string,
  limit = PATIENCE,
  language?: string,
): Promise<string | null> {
  return new Promise((resolve) => {
    const { host, port, authority } = door;
    const signal = AbortSignal.any([door.signal, AbortSignal.timeout(limit)]);
    const ca = authority === null ? {} : { ca: authority };
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(language === undefined ? {} : { 'accept-language': language }),
    };
    const asked = request({ host, port, path, ...ca, headers, agent: false, signal }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (text: string) => (body += text));
      answer.on('end', () => resolve(answer.statusCode === 200 ? body : null));
      answer.on('error', () => resolve(null));
    });
    asked.on('error', () => resolve(null));
    asked.end();
  });
}

/** Knocks ten times a second, each time anew and whether or not the one before was answered, until it is told to end. */
export function watchFrontDoor(door: FrontDoor, path: string): { end(): Promise<Watched> } {
  const waits: Promise<number | null>[] = [];
  const beat = setInterval(() => {
    const began = performance.now();
    waits.push(enter(door, path).then((body) => (body === null ? null : performance.now() - began)));
  }, BEAT);
  return {
    async end() {
      clearInterval(beat);
      const ended = await Promise.all(waits);
      const answered = ended.filter((wait) => wait !== null);
      const away = ((ended.length - answered.length) * BEAT) / 1000;
      return { knocks: ended.length, away, slowest: Math.max(0, ...answered) / 1000 };
    },
  };
}
