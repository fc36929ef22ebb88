import { BlockList, isIP } from 'node:net';
import * as z from 'zod';
import { fail } from '../domain/errors.ts';
import { jsonOrNull } from '../domain/json.ts';
import type { Text } from '../domain/text.ts';
import type { Credentials } from './docker-credentials.ts';
import type { RegistryRequest } from './registry-request.ts';

/** What a registry wants to see: a password, or a token from the address that it names. */
export type Challenge =
  | { readonly scheme: 'basic' }
  | { readonly scheme: 'bearer'; readonly realm: string; readonly service: string | undefined };

/** A registry as far as it decides where a password may go. */
export interface Asker {
  readonly registry: string;
  readonly base: URL;
  /** TLS has proved that it is the registry; what it names is its own word then. */
  readonly proved: boolean;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/** What may stand in a header, and no more of it than a server takes. */
const TOKEN = /^[\x21-\x7e]{1,32768}$/;

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** Reads a `WWW-Authenticate` header, which may name several ways: a token is preferred. Null for none that we know. */
export function challengeOf(header: string): Challenge | null {
  const [, bearer] = /(?:^|,\s*)bearer\s+(.*)/is.exec(header) ?? [];
  const pairs = [...(bearer ?? '').matchAll(/(\w+)="([^"]*)"/g)];
  // The first of a name counts: what another way names stands behind.
  const named: Record<string, string | undefined> = Object.fromEntries(
    pairs.map(([, name = '', value = '']) => [name.toLowerCase(), value]).toReversed(),
  );
  if (named['realm'] !== undefined) return { scheme: 'bearer', realm: named['realm'], service: named['service'] };
  return /(?:^|,\s*)basic\b/i.test(header) ? { scheme: 'basic' } : null;
}

/**
 * The address that gives out tokens for a registry. As with Docker's own client it may be another host (Docker Hub's is), but then the
 * registry has to have proved by TLS that it says so itself, and TLS is not left.
 *
 * @param password whether a password will be sent there
 * @throws AUTHENTICATION (exit 4) for an address where a password or a token would be given to strangers
 */
export function realmOf(realm: string, { registry, base, proved }: Asker, password: boolean): URL {
  const url = URL.canParse(realm) ? new URL(realm) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '')
    return refuseRealm(registry, JSON.stringify(realm.slice(0, 200)), {
      en: 'that is no address of one',
      zh: '这不是有效的地址',
    });
  const own = url.hostname === base.hostname || (isLoopback(url.hostname) && isLoopback(base.hostname));
  if (base.protocol === 'https:' && url.protocol === 'http:' && !(isLoopback(url.hostname) && own))
    return refuseRealm(registry, url.origin, {
      en: 'it is without TLS, and everyone on the way could read what opens the registry',
      zh: '该地址没有使用 TLS,途中任何人都能读到登录信息',
    });
  if (password && !proved && !own)
    return refuseRealm(registry, url.origin, {
      en: `that is another host, and nothing proves that ${registry} itself says so; the password stays here`,
      zh: `这是另一台主机,且无法证明确实由 ${registry} 指定;密码未被发送`,
    });
  return url;
}

function refuseRealm(registry: string, realm: string, why: Text): never {
  return fail(
    'AUTHENTICATION',
    {
      en: `the registry ${registry} names ${realm} for tokens: ${why.en}`,
      zh: `镜像仓库 ${registry} 指定从 ${realm} 获取令牌:${why.zh}`,
    },
    {
      hint: {
        en: `give ${registry} a certificate (its authority belongs into /etc/docker/certs.d/${registry}/ca.crt), and its token service too`,
        zh: `请为 ${registry} 及其令牌服务配置证书(CA 证书放在 /etc/docker/certs.d/${registry}/ca.crt)`,
      },
    },
  );
}

function isLoopback(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  const family = isIP(host);
  return family === 0 ? host === 'localhost' : LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

/** How a token is asked for. */
export function tokenRequest(
  realm: URL,
  service: string | undefined,
  scope: string,
  credentials: Credentials | null,
): { readonly url: URL; readonly request: RegistryRequest } {
  if (credentials?.user === null) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'xingrin',
      scope,
      ...(service === undefined ? {} : { service }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url: realm, request: { method: 'POST', headers, body: form.toString() } };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope);
  const headers = credentials === null ? {} : { authorization: basic(credentials) };
  return { url, request: { method: 'GET', headers } };
}

/** The token in an answer. Throws FAILED for an answer without one. */
export function tokenIn(bytes: Uint8Array, realm: URL): string {
  const read = tokenSchema.safeParse(jsonOrNull(new TextDecoder().decode(bytes)));
  const token = read.success ? (read.data.token ?? read.data.access_token ?? '') : '';
  if (TOKEN.test(token)) return token;
  return fail('FAILED', {
    en: `${realm.origin} was asked for a token and gave none`,
    zh: `${realm.origin} 没有给出令牌`,
  });
}

/** The header that shows a password. */
export function basic(credentials: Credentials): string {
  const { user, password } =
    credentials.user === null ? { user: '<token>', password: credentials.identityToken } : credentials;
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
