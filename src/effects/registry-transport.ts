import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import * as z from 'zod';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { docker } from './engine.ts';
import { listFolder } from './files.ts';
import { ask, type RegistryAnswer, type RegistryRequest } from './registry-request.ts';

/** Milliseconds for one answer with its body. */
const ANSWER_LIMIT = 15_000;
/** The same for somebody who waits to see. */
const SOON = 8_000;

/** Milliseconds to wait before each further attempt where a registry is busy or a connection broke. */
const PAUSES = [250, 1_000, 2_500];

/** Milliseconds that a registry may ask us to wait before the next attempt. */
const LONGEST_WAIT = 20_000;

/** Where Docker keeps certificates of private registries. */
const CERTIFICATES = '/etc/docker/certs.d';

const HUB = 'docker.io';
const HUB_ADDRESS = 'https://registry-1.docker.io';

const engineSchema = z.object({
  IndexConfigs: z.record(z.string(), z.object({ Secure: z.boolean() })).nullish(),
  InsecureRegistryCIDRs: z.array(z.string()).nullish(),
});

export interface RegistryManners {
  /** False: every question is put once and has to be answered soon, for somebody who waits to see. */
  readonly patient?: boolean;
  /** Registries that are spoken to without TLS whatever the engine says: mirrors with such an address. */
  readonly plain?: readonly string[];
}

interface Place {
  readonly base: string;
  readonly dispatcher: Dispatcher;
  /** TLS has proved that it is the registry which answers there. */
  readonly proved: boolean;
}

/**
 * Carries requests to registries as the engine would: through the proxy of the environment, with Docker's certificates, without
 * TLS only where the engine itself has been told so.
 */
export class RegistryTransport {
  readonly #places = new Map<string, Promise<Place>>();
  readonly #pauses: readonly number[];
  readonly #limit: number;
  readonly #plain: ReadonlySet<string>;
  #engine: Promise<z.infer<typeof engineSchema>> | undefined;

  constructor({ patient = true, plain = [] }: RegistryManners = {}) {
    this.#pauses = patient ? PAUSES : [];
    this.#limit = patient ? ANSWER_LIMIT : SOON;
    this.#plain = new Set(plain);
  }

  /** Asks a registry for a path below its root. Throws UNREACHABLE (exit 4). */
  async send(registry: string, path: string, request: RegistryRequest): Promise<RegistryAnswer> {
    const { base, dispatcher } = await this.#placeOf(registry);
    return this.#persistently(silentRegistry(registry), `${base}${path}`, request, dispatcher);
  }

  /** Asks another address that the registry has named: the one that gives out tokens. Throws UNREACHABLE (exit 4). */
  async sendTo(registry: string, url: URL, request: RegistryRequest): Promise<RegistryAnswer> {
    const { dispatcher } = await this.#placeOf(registry);
    return this.#persistently(silentTokenService(registry, url), url.href, request, dispatcher);
  }

  /** Where a registry is, and whether TLS has proved that it is the one. */
  async whereIs(registry: string): Promise<{ readonly base: URL; readonly proved: boolean }> {
    const { base, proved } = await this.#placeOf(registry);
    return { base: new URL(base), proved };
  }

  #placeOf(registry: string): Promise<Place> {
    const known = this.#places.get(registry) ?? this.#find(registry);
    this.#places.set(registry, known);
    return known;
  }

  async #persistently(
    silence: Text,
    url: string,
    request: RegistryRequest,
    dispatcher: Dispatcher,
  ): Promise<RegistryAnswer> {
    for (const [attempt, wait] of [...this.#pauses, null].entries()) {
      try {
        const answer = await ask(url, request, dispatcher, this.#limit);
        const busy = answer.status === 429 || answer.status >= 500;
        if (!busy || wait === null) return answer;
        await pause(retryAfter(answer) ?? wait);
      } catch (error) {
        if (error instanceof UserError) throw error;
        if (wait === null || isTimeout(error) || (attempt > 0 && isRefused(error))) throw unreachable(silence, error);
        await pause(wait);
      }
    }
    throw new Error('not reached');
  }

  async #find(registry: string): Promise<Place> {
    const secure = `https://${registry}`;
    const plain = `http://${registry}`;
    if (this.#plain.has(registry)) return { base: plain, dispatcher: await dispatcherWith({}), proved: false };
    if (registry === HUB) return { base: HUB_ADDRESS, dispatcher: await dispatcherWith({}), proved: true };
    if (!(await this.#isInsecure(registry)))
      return { base: secure, dispatcher: await dispatcherWith(await certificatesOf(registry)), proved: true };
    // Docker's order where TLS is not insisted on: any certificate will do, and else none.
    const dispatcher = await dispatcherWith({ rejectUnauthorized: false });
    try {
      await ask(`${secure}/v2/`, { method: 'GET' }, dispatcher, this.#limit);
      return { base: secure, dispatcher, proved: false };
    } catch (error) {
      if (isTimeout(error)) throw unreachable(silentRegistry(registry), error);
      return { base: error instanceof UserError ? secure : plain, dispatcher, proved: false };
    }
  }

  async #isInsecure(registry: string): Promise<boolean> {
    const without = { names: [], networks: [] };
    if (await mayGoWithoutTls(registry, without)) return true;
    this.#engine ??= engineSettings();
    const { IndexConfigs, InsecureRegistryCIDRs } = await this.#engine;
    const names = Object.entries(IndexConfigs ?? {}).filter(([, { Secure }]) => !Secure);
    return mayGoWithoutTls(registry, { names: names.map(([name]) => name), networks: InsecureRegistryCIDRs ?? [] });
  }
}

/** Whether an engine would speak to a registry without TLS: on its own machine, or where it has been told so. */
export async function mayGoWithoutTls(
  registry: string,
  insecure: { readonly names: readonly string[]; readonly networks: readonly string[] },
): Promise<boolean> {
  if (insecure.names.includes(registry)) return true;
  const host = registry.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  const addresses = isIP(host) > 0 ? [host] : await addressesOf(host);
  const networks = blockList(['127.0.0.0/8', '::1/128', ...insecure.networks]);
  return addresses.some((address) => contains(networks, address));
}

/** Whether an error says that nobody answered at all, as opposed to answering no. */
export function isUnreachable(error: unknown): error is UserError {
  return error instanceof UserError && error.code === 'UNREACHABLE';
}

/** Milliseconds until a registry wants to be asked again, within bounds; null if it does not say. */
function retryAfter(answer: RegistryAnswer): number | null {
  const said = answer.headers.get('retry-after') ?? '';
  const wait = /^\d+$/.test(said) ? Number(said) * 1_000 : Date.parse(said) - Date.now();
  return Number.isNaN(wait) ? null : Math.max(0, Math.min(wait, LONGEST_WAIT));
}

async function dispatcherWith(tls: { ca?: string[]; rejectUnauthorized?: boolean }): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = (await import('undici')).default;
  return new EnvHttpProxyAgent({ connect: tls, requestTls: tls, keepAliveTimeout: 1_000 });
}

async function certificatesOf(registry: string): Promise<{ ca?: string[] }> {
  const folder = join(CERTIFICATES, registry);
  const names = (await listFolder(folder)).filter((name) => name.endsWith('.crt'));
  if (names.length === 0) return {};
  const own = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return { ca: [...rootCertificates, ...own] };
}

/** Without an engine at hand (a CI job that only finalizes) nothing has been declared insecure. */
async function engineSettings(): Promise<z.infer<typeof engineSchema>> {
  const result = await docker(['info', '--format', '{{json .RegistryConfig}}']);
  if (result.code !== 0) return {};
  const settings = engineSchema.nullable().safeParse(JSON.parse(result.stdout || 'null'));
  return (settings.success ? settings.data : null) ?? {};
}

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits = ''] = network.split('/');
    const family = isIP(address);
    if (family > 0 && bits !== '') list.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function silentRegistry(registry: string): Text {
  return { en: `the registry ${registry} does not answer`, zh: `镜像仓库 ${registry} 没有应答` };
}

function silentTokenService(registry: string, url: URL): Text {
  const service = `${url.origin}${url.pathname}`;
  return {
    en: `${service}, which the registry ${registry} names for tokens, does not answer`,
    zh: `镜像仓库 ${registry} 指定的令牌服务 ${service} 没有应答`,
  };
}

function unreachable(silence: Text, error: unknown): UserError {
  return new UserError('UNREACHABLE', silence, {
    hint: {
      en: 'check the network, the proxy and the name of the registry',
      zh: '请检查网络、代理以及镜像仓库地址',
    },
    evidence: reasonOf(error),
    cause: error,
  });
}

/** Why nobody answered, by the system's own code; `TIMEOUT` for one that kept silent, null for what has none. */
export function whyUnreachable(error: UserError): string | null {
  const cause = error.details.cause;
  return isTimeout(cause) ? 'TIMEOUT' : codeOf(cause) || null;
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.name === 'TimeoutError' || codeOf(error) === 'UND_ERR_CONNECT_TIMEOUT');
}

function isRefused(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** fetch says "fetch failed"; what failed is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause.message || codeOf(error) : '';
  return cause === '' ? error.message : cause;
}
