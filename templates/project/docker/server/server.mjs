// The server of this product: what it is, and who works for it. Nothing but Node; what it knows lives in memory.
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

/** Built into the image: the version that runs, not the version somebody asked for. */
const VERSION = process.env.IMAGE_TAG ?? 'unversioned';
const PORT = Number(process.env.PORT || 8888);
const AGENT_TOKEN = process.env.AGENT_TOKEN ?? '';

const BODY_LIMIT = 64 * 1024;
const OFFLINE_AFTER_MS = 15_000;
const CLOSE_LIMIT_MS = 500;

/** Workers by id. An agent that finds itself forgotten registers again. */
const workers = new Map();

class Refusal extends Error {
  constructor(status, code, message, field) {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

const ROUTES = [
  ['GET', /^\/api$/, () => [200, { status: 'ok', version: VERSION }]],
  ['GET', /^\/livez$/, () => [200, { status: 'ok', version: VERSION }]],
  ['GET', /^\/readyz$/, () => [200, { status: 'ok', version: VERSION }]],
  ['GET', /^\/api\/workers$/, () => [200, { workers: [...workers.values()].map(describe) }]],
  ['GET', /^\/api\/workers\/(\d{1,9})$/, (_request, id) => [200, describe(workerOf(id))]],
  ['POST', /^\/api\/workers\/register$/, register],
  ['POST', /^\/api\/workers\/(\d{1,9})\/heartbeat$/, heartbeat],
];

async function register(request) {
  authenticate(request);
  const body = await readJson(request);
  const name = body.name;
  if (typeof name !== 'string' || name.trim() === '' || name.length > 200) {
    throw new Refusal(400, 'BAD_INPUT', 'name must be a text of 1 to 200 characters', 'name');
  }
  const known = [...workers.values()].find((worker) => worker.name === name);
  const worker = known ?? { id: workers.size + 1, name, local: false, version: null, cpu: null, memory: null, seen: null };
  worker.local = body.is_local === true;
  workers.set(worker.id, worker);
  return [known ? 200 : 201, { worker_id: worker.id, workerId: worker.id, name, created: known === undefined }];
}

async function heartbeat(request, id) {
  authenticate(request);
  const worker = workerOf(id);
  const body = await readJson(request);
  const cpu = percentOf(body, 'cpu_percent', 'cpu');
  const memory = percentOf(body, 'memory_percent', 'mem');
  const version = body.version ?? null;
  if (version !== null && (typeof version !== 'string' || version.length > 128)) {
    throw new Refusal(400, 'BAD_INPUT', 'version must be a text', 'version');
  }
  Object.assign(worker, { cpu, memory, version, seen: Date.now() });
  return [200, { status: 'ok', need_update: version !== null && version !== VERSION, server_version: VERSION }];
}

function percentOf(body, ...names) {
  const name = names.find((key) => body[key] !== undefined) ?? names[0];
  const value = body[name];
  if (typeof value !== 'number' || !(value >= 0 && value <= 100)) {
    throw new Refusal(400, 'BAD_INPUT', `${name} must be a number from 0 to 100`, name);
  }
  return value;
}

function workerOf(id) {
  const worker = workers.get(Number(id));
  if (worker === undefined) throw new Refusal(404, 'NOT_FOUND', `no worker ${id}`);
  return worker;
}

function describe(worker) {
  const online = worker.seen !== null && Date.now() - worker.seen < OFFLINE_AFTER_MS;
  return {
    id: worker.id,
    name: worker.name,
    is_local: worker.local,
    status: worker.seen === null ? 'pending' : online ? 'online' : 'offline',
    version: worker.version,
    cpu_percent: worker.cpu,
    memory_percent: worker.memory,
    last_seen: worker.seen === null ? null : new Date(worker.seen).toISOString(),
  };
}

function authenticate(request) {
  if (AGENT_TOKEN === '') return;
  const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const digest = (text) => createHash('sha256').update(text).digest();
  if (!timingSafeEqual(digest(given), digest(AGENT_TOKEN))) {
    throw new Refusal(401, 'UNAUTHORIZED', 'the agent token is missing or wrong');
  }
}

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Refusal(413, 'TOO_LARGE', `a body may have ${BODY_LIMIT} bytes`);
    chunks.push(chunk);
  }
  let body;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refusal(400, 'BAD_INPUT', 'the body is not JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal(400, 'BAD_INPUT', 'the body must be a JSON object');
  }
  return body;
}

async function answer(request) {
  const path = request.url.split('?', 1)[0].replace(/\/$/, '');
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  let pathExists = false;
  for (const [wanted, pattern, handle] of ROUTES) {
    const match = pattern.exec(path);
    if (match === null) continue;
    if (wanted === method) return handle(request, ...match.slice(1));
    pathExists = true;
  }
  if (pathExists) throw new Refusal(405, 'METHOD_NOT_ALLOWED', `${request.method} is not possible here`);
  throw new Refusal(404, 'NOT_FOUND', 'there is nothing at this address');
}

function refuse(error) {
  if (error instanceof Refusal) {
    const { code, message, field } = error;
    return [error.status, { error: { code, message, ...(field ? { field } : {}) } }];
  }
  process.stderr.write(`${error?.stack ?? error}\n`);
  return [500, { error: { code: 'BUG', message: 'something went wrong here' } }];
}

function serve() {
  const server = createServer(async (request, response) => {
    const [status, body] = await answer(request).catch(refuse);
    const text = `${JSON.stringify(body)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : text);
    // What is left of a body that was too large is not worth reading.
    if (status === 413) response.once('finish', () => request.destroy());
  });
  server.requestTimeout = 10_000;
  server.listen(PORT, () => process.stdout.write(`server ${VERSION} on port ${server.address().port}\n`));

  const end = () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), CLOSE_LIMIT_MS).unref();
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}

serve();
