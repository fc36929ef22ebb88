import type { ServerResponse } from 'node:http';
import type { Language } from '../domain/text.ts';
import { refuse } from './refusal.ts';
import type { Roster } from './roster.ts';
import { compareEventIds, isEventId, type FleetEvent, type Store } from './store.ts';
import { eventText, isNews } from './views.ts';

const MOST_STREAMS = 200;
/** Milliseconds between two signs of life: proxies close what is silent. */
const SIGN_OF_LIFE = 15_000;
/** Bytes that a reader may lag behind. */
const LONGEST_LAG = 4 * 1024 * 1024;

/** Everybody who listens to what changes. */
export class EventStreams {
  readonly #roster: Roster;
  readonly #store: Store;
  readonly #open = new Set<ServerResponse>();

  constructor(roster: Roster, store: Store) {
    this.#roster = roster;
    this.#store = store;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Refuses with 429 before anything is sent; 400 for a `Last-Event-ID` that is none. */
  check(lastId: string | undefined): void {
    if (this.#open.size >= MOST_STREAMS) refuse(429, 'TOO_MANY', `there are ${MOST_STREAMS} event streams already`);
    if (lastId !== undefined && !isEventId(lastId)) {
      refuse(400, 'BAD_INPUT', 'Last-Event-ID must be an id of an event of this stream', 'Last-Event-ID');
    }
  }

  /**
   * Sends every change from now on, after those that the reader missed since `lastId`. If they are no longer known, an event
   * `reset` tells it to look at everything anew.
   */
  async start(response: ServerResponse, lastId: string | undefined, language: Language): Promise<void> {
    this.#open.add(response);
    let sent = lastId ?? '0-0';
    const waiting: FleetEvent[] = [];
    let caughtUp = false;
    const send = (event: FleetEvent): void => {
      if (compareEventIds(event.id, sent) <= 0) return;
      sent = event.id;
      if (!isNews(event)) return;
      response.write(eventText(event, language));
      if (response.writableLength > LONGEST_LAG) response.destroy();
    };
    const forget = this.#roster.listen((event) => {
      if (caughtUp) send(event);
      else waiting.push(event);
    });
    const signs = setInterval(() => response.write(': still here\n\n'), SIGN_OF_LIFE).unref();
    response.once('close', () => {
      forget();
      clearInterval(signs);
      this.#open.delete(response);
    });
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx passes each event on at once.
      'x-accel-buffering': 'no',
    });
    response.write('retry: 2000\n\n');
    if (lastId !== undefined) {
      const missed = await this.#store.eventsAfter(lastId);
      if (missed === null) response.write('event: reset\ndata: {}\n\n');
      else for (const event of missed) send(event);
    }
    caughtUp = true;
    for (const event of waiting) send(event);
  }

  /** Ends every stream; their readers come back to whoever serves then. */
  close(): void {
    for (const response of this.#open) response.end();
  }
}
