import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { Language } from '../domain/text.ts';
import type { Log } from '../effects/log.ts';
import { Access, type Secrets } from './access.ts';
import { EventStreams } from './event-stream.ts';
import { HeartbeatDoor } from './heartbeat-door.ts';
import { BODY_LIMIT, JSON_TYPE, readJson } from './json-body.ts';
import { AnswerCounts, metricsText } from './metrics.ts';
import { openApi, type RouteFacts } from './openapi.ts';
import { Refusal, refuse, type Failure } from './refusal.ts';
import type { Entry, Roster } from './roster.ts';
import {
  heartbeat,
  heartbeatAnswer,
  readBody,
  readVitals,
  registered,
  registration,
  serving,
  workerList,
  workerView,
} from './schemas.ts';
import { StoreAway, type Store } from './store.ts';
import { taskRequest, taskView, type TaskRunner } from './task-runner.ts';
import { heardLoad, viewOf } from './views.ts';

const HEADER_LIMIT = 16 * 1024;
/** Milliseconds for a request's header, and for all of it. */
const HEADER_TIME = 5_000;
const REQUEST_TIME = 10_000;
const SERVER: ServerOptions = {
  maxHeaderSize: HEADER_LIMIT,
  headersTimeout: HEADER_TIME,
  requestTimeout: REQUEST_TIME,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 1_000,
};

export interface AppOptions {
  readonly roster: Roster;
  readonly store: Store;
  readonly secrets: Secrets;
  readonly log: Log;
  /** The version that this server is. */
  readonly version: string;
  /** Null: this server runs no tasks. */
  readonly tasks: TaskRunner | null;
}

/** The control plane over HTTP; nobody listens yet. */
export interface App {
  readonly http: FastifyInstance<Server>;
  /** From now on new requests are refused and event streams end; resolves when those under way are done. */
  close(): Promise<void>;
}

interface Route extends RouteFacts {
  readonly handle: (request: FastifyRequest, reply: FastifyReply) => unknown;
  /** Also answered while the store is away. */
  readonly always?: boolean;
}

export async function makeApp(options: AppOptions): Promise<App> {
  const { roster, store, log } = options;
  const access = new Access(options.secrets);
  const answers = new AnswerCounts();
  const streams = new EventStreams(roster, store);
  const accepted = acceptances(roster);
  const door = new HeartbeatDoor({ roster, store, access, answers, accepted, failureOf });
  function failureOf(error: unknown, request: IncomingMessage): Failure {
    const refusal = refusalFor(error as Error);
    if (refusal !== null) return { status: refusal.status, headers: headersOf(refusal), body: refusal.body };
    const text = error instanceof Error ? error.stack : String(error);
    log.error('a request failed', { method: request.method, path: pathOf(request), error: text });
    return { status: 500, headers: {}, body: { error: { code: 'BUG', message: 'something went wrong here' } } };
  }
  const http = Fastify({
    serverFactory: (handler) =>
      createServer(SERVER, (request, response) => {
        if (!door.take(request, response)) handler(request, response);
      }),
    logger: false,
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    routerOptions: { ignoreTrailingSlash: true },
    clientErrorHandler: answerBrokenRequest,
  });
  let closing = false;

  // Agents name all sorts of types; it is always JSON.
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('*', { parseAs: 'string' }, (_request, text: string, done) => {
    try {
      done(null, readJson(text));
    } catch (error) {
      done(error as Refusal);
    }
  });
  http.addHook('onResponse', (_request, reply, done) => {
    answers.count(reply.statusCode);
    done();
  });
  http.setNotFoundHandler(() => refuse(404, 'NOT_FOUND', 'there is nothing at this address'));
  http.setErrorHandler((error: FastifyError, request, reply) => {
    const { status, headers, body } = failureOf(error, request.raw);
    return reply.code(status).headers(headers).send(body);
  });

  const running = JSON.stringify({ status: 'ok', version: options.version });

  function entryOf(request: FastifyRequest): Entry {
    const id = idOf(request);
    return roster.find(id) ?? refuse(404, 'NOT_FOUND', `there is no worker ${id}`);
  }
  function tasks(): TaskRunner {
    return options.tasks ?? refuse(503, 'UNAVAILABLE', 'this server runs no tasks: use xingrin task run');
  }
  function ready(): string {
    if (closing) refuse(503, 'UNAVAILABLE', 'this server is about to end');
    if (!store.available()) throw new StoreAway();
    return running;
  }

  const routes: readonly Route[] = [
    {
      method: 'GET',
      path: '/api/',
      about: '200 when it serves',
      audience: 'anyone',
      answer: serving,
      handle: () => running,
    },
    {
      method: 'POST',
      path: '/api/workers/register/',
      about: 'An agent makes itself known; the same name gets the same id.',
      audience: 'agent',
      body: registration,
      answer: registered,
      async handle(request) {
        const { name, is_local } = readBody(registration, request.body);
        access.requireRegistrar(request.headers.authorization, (wanted) => roster.named(wanted), name);
        const done = await roster.register(name, is_local ?? false);
        if (done === null) return refuse(429, 'TOO_MANY', 'too many agents have registered that are in no inventory');
        const { entry, created } = done;
        return { worker_id: entry.id, workerId: entry.id, name, created };
      },
    },
    {
      method: 'POST',
      path: '/api/workers/{id}/heartbeat/',
      about: 'An agent lives, is so busy, and has this version.',
      audience: 'agent',
      body: heartbeat,
      answer: heartbeatAnswer,
      handle(request) {
        const { version, cpu, memory } = readVitals(request.body);
        const text = accepted(roster.needsUpdate(version));
        const change = roster.heartbeat(entryOf(request), version, cpu, memory);
        return change === null ? text : change.then(() => text);
      },
    },
    {
      method: 'GET',
      path: '/api/workers/',
      about: 'Every worker: state, version, load, last seen, reason.',
      audience: 'admin',
      answer: workerList,
      handle(request) {
        const language = languageOf(request);
        return { server_version: roster.wanted, workers: roster.all().map((entry) => viewOf(entry, language)) };
      },
    },
    {
      method: 'GET',
      path: '/api/workers/{id}/',
      about: 'One worker.',
      audience: 'admin',
      answer: workerView,
      handle: (request) => viewOf(entryOf(request), languageOf(request)),
    },
    {
      method: 'DELETE',
      path: '/api/workers/{id}/',
      about:
        'Forgets a worker that registered by itself. One of the inventory is removed with `xingrin worker remove`.',
      audience: 'admin',
      answer: z.object({ status: z.literal('ok') }),
      async handle(request) {
        const entry = entryOf(request);
        if (entry.worker !== null) {
          refuse(409, 'DECLARED', `it is in the inventory; type: xingrin worker remove ${entry.name}`);
        }
        await roster.remove(entry);
        return { status: 'ok' };
      },
    },
    {
      method: 'POST',
      path: '/api/tasks/',
      about: 'Runs a task on the least loaded worker, or on a named one.',
      audience: 'admin',
      body: taskRequest,
      answer: taskView,
      handle: (request) => tasks().start(readBody(taskRequest, request.body), roster.all().map(heardLoad)),
    },
    {
      method: 'GET',
      path: '/api/tasks/',
      about: 'Every task.',
      audience: 'admin',
      answer: z.object({ tasks: z.array(taskView) }),
      handle: async () => ({ tasks: await tasks().list() }),
    },
    {
      method: 'GET',
      path: '/api/tasks/{id}/',
      about: 'One task.',
      audience: 'admin',
      answer: taskView,
      async handle(request) {
        const { id } = request.params as { id: string };
        return (await tasks().find(id)) ?? refuse(404, 'NOT_FOUND', 'there is no such task');
      },
    },
    {
      method: 'GET',
      path: '/api/events/',
      about: 'Server-sent events of every change of state. Last-Event-ID is honoured.',
      audience: 'admin',
      answer: 'text/event-stream',
      async handle(request, reply) {
        if (closing) refuse(503, 'UNAVAILABLE', 'this server is about to end');
        const given = request.headers['last-event-id'];
        const lastId = typeof given === 'string' ? given : undefined;
        streams.check(lastId);
        reply.hijack();
        answers.count(200);
        await streams.start(reply.raw, lastId, languageOf(request)).catch(() => reply.raw.destroy());
      },
    },
    {
      method: 'GET',
      path: '/livez',
      about: 'This process lives.',
      audience: 'anyone',
      answer: serving,
      always: true,
      handle: () => running,
    },
    {
      method: 'GET',
      path: '/readyz',
      about: 'This server can be asked.',
      audience: 'anyone',
      answer: serving,
      always: true,
      handle: ready,
    },
    {
      method: 'GET',
      path: '/metrics',
      about: "Numbers in Prometheus' text format.",
      audience: 'admin',
      answer: 'text/plain',
      always: true,
      handle(_request, reply) {
        reply.type('text/plain; version=0.0.4; charset=utf-8');
        return metricsText({ roster, store, answers, streams: streams.count });
      },
    },
    {
      method: 'GET',
      path: '/openapi.json',
      about: 'This description.',
      audience: 'anyone',
      answer: 'application/json',
      always: true,
      handle: () => description,
    },
  ];
  const description = JSON.stringify(openApi(routes, options.version));

  function admit(route: Route, request: FastifyRequest): void {
    const { authorization, 'content-encoding': encoding } = request.headers;
    if (route.audience === 'admin') access.requireAdmin(authorization);
    else if (route.audience === 'agent') {
      if (route.path.includes('{id}')) {
        const id = idOf(request);
        const entry = roster.find(id);
        access.requireWorker(authorization, id, entry);
        if (entry === undefined) refuse(404, 'NOT_FOUND', `there is no worker ${id}`);
      } else access.requireAnyAgent(authorization);
    }
    if (encoding !== undefined && encoding !== 'identity') {
      refuse(400, 'BAD_INPUT', 'a body must not be compressed', 'Content-Encoding');
    }
    if (route.always !== true && !store.available()) throw new StoreAway();
  }
  for (const route of routes) {
    http.route({
      method: route.method,
      url: route.path.replace('{id}', ':id'),
      onRequest(request, _reply, done) {
        admit(route, request);
        done();
      },
      handler(request, reply) {
        reply.header('content-type', JSON_TYPE);
        const answer = route.handle(request, reply);
        return answer;
      },
    });
  }
  await http.ready();
  return {
    http,
    async close() {
      closing = true;
      door.close();
      streams.close();
      // The library ends only servers that it made itself.
      const drained = new Promise<void>((resolve) => void http.server.close(() => resolve()));
      await http.close();
      await drained;
    },
  };
}

/** The two answers to a heartbeat, written out once for each version that agents are to have. */
function acceptances(roster: Roster): (behind: boolean) => string {
  let wanted: string | null = null;
  let texts: readonly string[] = [];
  return (behind) => {
    if (texts.length === 0 || wanted !== roster.wanted) {
      wanted = roster.wanted;
      const version = wanted ?? 'unknown';
      texts = [false, true].map((need) => JSON.stringify({ status: 'ok', need_update: need, server_version: version }));
    }
    return texts[behind ? 1 : 0] ?? '';
  };
}

/** What a failure is to whoever asked; null for a bug of ours. */
function refusalFor(error: Error & { readonly statusCode?: number | undefined }): Refusal | null {
  if (error instanceof Refusal) return error;
  if (error instanceof StoreAway)
    return new Refusal(503, 'UNAVAILABLE', 'the store does not answer; try again in a moment');
  const status = error.statusCode ?? 500;
  if (status === 413) return new Refusal(413, 'TOO_LARGE', `a body may have ${BODY_LIMIT} bytes`, 'body');
  if (status === 503) return new Refusal(503, 'UNAVAILABLE', 'this server is about to end');
  return status >= 400 && status < 500 ? new Refusal(400, 'BAD_REQUEST', error.message) : null;
}

/** What is no request at all, or takes too long to become one. */
function answerBrokenRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const refusal =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Refusal(413, 'TOO_LARGE', `a header may have ${HEADER_LIMIT} bytes`, 'header')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Refusal(400, 'TIMEOUT', `a request must be here within ${REQUEST_TIME / 1000} seconds`)
        : new Refusal(400, 'BAD_REQUEST', 'that is not HTTP');
  const body = JSON.stringify(refusal.body);
  socket.end(
    `HTTP/1.1 ${refusal.status} ${refusal.status === 413 ? 'Content Too Large' : 'Bad Request'}\r\n` +
      `content-type: ${JSON_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function idOf(request: FastifyRequest): number {
  const { id } = request.params as { id: string };
  return /^[1-9]\d{0,9}$/.test(id) ? Number(id) : refuse(404, 'NOT_FOUND', 'there is no such worker');
}

function languageOf(request: FastifyRequest): Language {
  return /^\s*zh/i.test(request.headers['accept-language'] ?? '') ? 'zh' : 'en';
}

function headersOf({ status }: Refusal): Record<string, string> {
  if (status === 503) return { 'retry-after': '1' };
  if (status === 401) return { 'www-authenticate': 'Bearer' };
  // What is left of such a body is not worth reading.
  return status === 413 ? { connection: 'close' } : {};
}

/** Without the query, which may hold anything. */
function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}
