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
const RESET = 'event: reset\ndata: {}\n\n';

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
   * Sends every change from now on, after those that the reader missed since `lastId`. Where some are no longer known, then or later, an
   * event `reset` tells it to look at everything anew.
   */
  async start(response: ServerResponse, lastId: string | undefined, language: Language): Promise<void> {
    this.#open.add(response);
    let sent = lastId ?? '0-0';
    const waiting: FleetEvent[] = [];
    let caughtUp = false;
    // After the end of the stream, when we ourselves end, something may still change.
    const write = (text: string): void => {
      if (!response.writableEnded && !response.destroyed) response.write(text);
    };
    const send = (event: FleetEvent): void => {
      if (compareEventIds(event.id, sent) <= 0) return;
      sent = event.id;
      if (!isNews(event)) return;
      write(eventText(event, language));
      if (response.writableLength > LONGEST_LAG) response.destroy();
    };
    const forget = this.#roster.listen({
      event(event) {
        if (caughtUp) send(event);
        else waiting.push(event);
      },
      gap: () => write(RESET),
    });
    const signs = setInterval(() => write(': still here\n\n'), SIGN_OF_LIFE).unref();
    // A reader that breaks off is no fault of ours.
    response.on('error', () => response.destroy());
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
    write('retry: 2000\n\n');
    if (lastId !== undefined) {
      const missed = await this.#store.eventsAfter(lastId);
      if (missed === null) write(RESET);
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
