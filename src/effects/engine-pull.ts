import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { splitReference } from '../domain/image.ts';
import { jsonOrNull } from '../domain/json.ts';
import { pullMeter, type PullAmount } from '../domain/pull-progress.ts';
import { credentialsFor, HUB_KEY } from './docker-credentials.ts';

const HUB = 'docker.io';

/** Milliseconds between two reports of bytes. */
const PAUSE = 250;

const messageSchema = z.object({
  status: z.string().optional(),
  id: z.string().optional(),
  progressDetail: z.object({ current: z.number().optional(), total: z.number().optional() }).optional(),
  error: z.string().optional(),
});
const refusalSchema = z.object({ message: z.string() });

/**
 * Pulls an image as `docker pull` does, with the same login, and tells bytes: without a terminal `docker pull` tells only layers.
 *
 * @param socket path of the engine's socket
 * @returns null when the image is here, else the engine's words, empty where it did not answer
 */
export async function pullThrough(
  socket: string,
  reference: string,
  signal: AbortSignal,
  report: (amount: PullAmount, words: string) => void,
): Promise<string | null> {
  const { registry, path, tag, digest } = splitReference(reference);
  const query = new URLSearchParams({
    fromImage: registry === HUB ? path : `${registry}/${path}`,
    tag: digest ?? tag ?? '',
  });
  const platform = process.env['DOCKER_DEFAULT_PLATFORM'] ?? '';
  if (platform !== '') query.set('platform', platform);
  const login = await loginFor(registry);
  try {
    const answer = await post(socket, `/images/create?${query.toString()}`, login, signal);
    if (answer.statusCode !== 200) return await refusalOf(answer);
    const measure = pullMeter();
    let failure: string | null = null;
    let reported = 0;
    for await (const line of createInterface({ input: answer })) {
      const message = messageOf(line);
      if (message === null) continue;
      failure = message.error ?? failure;
      const amount = measure(message);
      // The engine tells every layer's bytes ten times a second.
      if (message.progressDetail?.current !== undefined && performance.now() - reported < PAUSE) continue;
      reported = performance.now();
      report(amount, [message.id, message.status].filter((each) => each !== undefined).join(': '));
    }
    // An answer that was cut off is no end of a pull.
    return answer.complete ? failure : '';
  } catch {
    return '';
  }
}

function post(
  socketPath: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // A connection of its own, which ends with the pull.
    const asked = request({
      socketPath,
      method: 'POST',
      path,
      headers: { ...headers, host: 'docker' },
      signal,
      agent: false,
    });
    asked.once('response', resolve);
    asked.once('error', reject);
    asked.end();
  });
}

async function loginFor(registry: string): Promise<Record<string, string>> {
  const kept = await credentialsFor(registry);
  if (kept === null) return {};
  const serveraddress = registry === HUB ? HUB_KEY : registry;
  const login =
    kept.user === null
      ? { identitytoken: kept.identityToken, serveraddress }
      : { username: kept.user, password: kept.password, serveraddress };
  // The alphabet for addresses, but padded: the engine refuses what Node calls base64url.
  const encoded = Buffer.from(JSON.stringify(login)).toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  return { 'x-registry-auth': encoded };
}

async function refusalOf(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString('utf8');
  const told = refusalSchema.safeParse(jsonOrNull(text));
  return told.success ? told.data.message : text.trim();
}

function messageOf(line: string): z.infer<typeof messageSchema> | null {
  const read = messageSchema.safeParse(jsonOrNull(line));
  return read.success ? read.data : null;
}
