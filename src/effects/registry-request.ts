import type { Dispatcher, Headers, Response } from 'undici';
import { fail } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  /** Who gave it in the end: another origin than was asked, after a redirect. */
  readonly origin: string;
}

/** Bytes of one answer: manifests and configurations are smaller, and layers are no concern of ours. */
const BODY_LIMIT = 4 * 1024 * 1024;

/** Redirects of one request that are followed. */
const REDIRECTS = 5;

/**
 * Sends one request, over its redirects. What opens the registry goes to no other origin, TLS is not left once it is there, and no more is
 * read than {@link BODY_LIMIT}.
 */
export async function ask(
  url: string,
  request: RegistryRequest,
  dispatcher: Dispatcher,
  limit: number,
): Promise<RegistryAnswer> {
  const { fetch } = (await import('undici')).default;
  const { method, body } = request;
  const signal = AbortSignal.timeout(limit);
  let at = new URL(url);
  let headers = request.headers ?? {};
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(at.href, {
      method,
      headers,
      dispatcher,
      signal,
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
    });
    const next = method === 'GET' || method === 'HEAD' ? redirectOf(response, at) : null;
    if (next === null) {
      const bytes = await boundedBody(response, at);
      return { status: response.status, headers: response.headers, bytes, origin: at.origin };
    }
    await response.body?.cancel();
    if (redirects === REDIRECTS) refuseRedirect(at, next, { en: 'one redirect too many', zh: '重定向次数过多' });
    if (at.protocol === 'https:' && next.protocol !== 'https:')
      refuseRedirect(at, next, { en: 'it leaves TLS', zh: '会离开 TLS' });
    if (next.origin !== at.origin) headers = withoutAuthorization(headers);
    at = next;
  }
}

/** Where an answer sends us instead; null if it does not. */
function redirectOf(response: Response, at: URL): URL | null {
  const location = response.headers.get('location');
  if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return null;
  if (!URL.canParse(location, at.href)) return null;
  const next = new URL(location, at.href);
  return next.protocol === 'https:' || next.protocol === 'http:' ? next : null;
}

function withoutAuthorization(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'));
}

function refuseRedirect(from: URL, to: URL, why: Text): never {
  fail('FAILED', {
    en: `${from.host} redirects to ${to.protocol}//${to.host}, which is not followed: ${why.en}`,
    zh: `${from.host} 重定向到 ${to.protocol}//${to.host},未予跟随:${why.zh}`,
  });
}

async function boundedBody(response: Response, { host }: URL): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.byteLength;
    // Leaving the loop ends the answer.
    if (length > BODY_LIMIT) {
      fail('FAILED', {
        en: `${host} answers with more than ${BODY_LIMIT / 1024 / 1024} MiB where a manifest or a configuration was asked for`,
        zh: `向 ${host} 请求清单或配置,其应答超过 ${BODY_LIMIT / 1024 / 1024} MiB`,
      });
    }
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
