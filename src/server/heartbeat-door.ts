import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './access.ts';
import { BODY_LIMIT, JSON_TYPE, readJson } from './json-body.ts';
import type { AnswerCounts } from './metrics.ts';
import { refuse, type Failure } from './refusal.ts';
import type { Entry, Roster } from './roster.ts';
import { readVitals } from './schemas.ts';
import type { Store } from './store.ts';

const PATH = /^\/api\/workers\/([1-9]\d{0,9})\/heartbeat\/?$/;

export interface HeartbeatDoorOptions {
  readonly roster: Roster;
  readonly store: Store;
  readonly access: Access;
  readonly answers: AnswerCounts;
  /** The answer to a heartbeat, for an agent that is behind and for the others. */
  readonly accepted: (behind: boolean) => string;
  /** What a failure is to whoever asked. */
  readonly failureOf: (error: unknown, request: IncomingMessage) => Failure;
}

/**
 * Takes the requests that come thousands of times a second, heartbeats as agents send them, without the HTTP library: its
 * router, hooks and streams take longer than all the rest. The checks and the words are the same. Whatever is not plainly such a
 * heartbeat (another path, a wrong token, no length, an unknown worker, no store) is left to the library, untouched.
 */
export class HeartbeatDoor {
  readonly #options: HeartbeatDoorOptions;
  #open = true;

  constructor(options: HeartbeatDoorOptions) {
    this.#options = options;
  }

  /** From now on everything is left to the library, which says that we are about to end. */
  close(): void {
    this.#open = false;
  }

  /** False if the request is not for this door. */
  take(request: IncomingMessage, response: ServerResponse): boolean {
    const entry = this.#open ? this.#admit(request) : null;
    if (entry === null) return false;
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => this.#answer(entry, chunks, request, response));
    return true;
  }

  #admit({ method, url = '', headers }: IncomingMessage): Entry | null {
    const id = method === 'POST' ? PATH.exec(url)?.[1] : undefined;
    if (id === undefined) return null;
    const { roster, access, store } = this.#options;
    const { authorization, 'content-length': length, 'content-encoding': encoding } = headers;
    const entry = roster.find(Number(id));
    const plain = length !== undefined && Number(length) > 0 && Number(length) <= BODY_LIMIT && encoding === undefined;
    if (!plain || headers.expect !== undefined || entry === undefined || !store.available()) return null;
    return access.admitsWorker(authorization, entry.id, entry) ? entry : null;
  }

  #answer(entry: Entry, chunks: readonly Buffer[], request: IncomingMessage, response: ServerResponse): void {
    const { roster, accepted } = this.#options;
    try {
      const [first = Buffer.alloc(0)] = chunks;
      const { version, cpu, memory } = readVitals(readJson(String(chunks.length > 1 ? Buffer.concat(chunks) : first)));
      const text = accepted(roster.needsUpdate(version));
      // It may have been removed while its body came.
      if (entry.gone) refuse(404, 'NOT_FOUND', `there is no worker ${entry.id}`);
      const change = roster.heartbeat(entry, version, cpu, memory);
      if (change === null) this.#send(response, 200, text);
      else {
        change.then(
          () => this.#send(response, 200, text),
          (error: unknown) => this.#fail(request, response, error),
        );
      }
    } catch (error) {
      this.#fail(request, response, error);
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const { status, headers, body } = this.#options.failureOf(error, request);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    this.#send(response, status, JSON.stringify(body));
  }

  #send(response: ServerResponse, status: number, text: string): void {
    this.#options.answers.count(status);
    response.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(text) });
    response.end(text);
  }
}
