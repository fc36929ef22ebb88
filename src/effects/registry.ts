import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { PullBudget } from '../domain/check-registry.ts';
import { fail, UserError } from '../domain/errors.ts';
import { credentialsFor, type Credentials } from './docker-credentials.ts';
import {
  RegistryTransport,
  type RegistryAnswer,
  type RegistryManners,
  type RegistryRequest,
} from './registry-transport.ts';

/** A repository in a registry: `docker.io` and `yyhuni/xingrin-server`. */
export interface RegistryPlace {
  readonly registry: string;
  readonly path: string;
}

/** A manifest, byte for byte as the registry keeps it. */
export interface Manifest {
  /** `sha256:…` of the bytes, computed here. */
  readonly digest: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** An image as it is in the registry. */
export interface RegistryImage {
  readonly digest: string;
  /** By platform (`linux/amd64`): the digest of its manifest. Only those that answer. */
  readonly platforms: Readonly<Record<string, string>>;
  /** What the image says of where it comes from; null if it does not say, or if its platforms disagree. */
  readonly revision: string | null;
}

/** What a registry says about an image tag without giving it out. */
export interface ImageLook {
  /** As HTTP has it: 200, 401, 404, 429 … */
  readonly status: number;
  readonly digest: string | null;
  /** How often images may still be pulled, where the registry counts. */
  readonly pulls: PullBudget | null;
  /** Seconds since 1970 by its clock; null if it does not say. */
  readonly clock: number | null;
}

const INDEX_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];
const SINGLE_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

const REVISION = 'org.opencontainers.image.revision';

const platformSchema = z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() });
const indexSchema = z.object({
  manifests: z.array(z.object({ digest: z.string(), platform: platformSchema.optional() })),
});
const singleSchema = z.object({ config: z.object({ digest: z.string() }) });
const configSchema = platformSchema.extend({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});
const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/** Asks registries about images, and names images in them, by the distribution protocol. */
export class Registry {
  readonly #transport: RegistryTransport;
  readonly #credentials = new Map<string, Promise<Credentials | null>>();
  /** By registry and scope: the header that opened it last time. */
  readonly #authorizations = new Map<string, string>();

  constructor(manners: RegistryManners = {}) {
    this.#transport = new RegistryTransport(manners);
  }

  /**
   * Asks whether there is something under an image tag, in the one way that no registry counts as a pull. Never throws for what
   * the registry says.
   *
   * @throws UNREACHABLE (exit 4) if nobody answers
   */
  async look(place: RegistryPlace, reference: string): Promise<ImageLook> {
    const accept = [...INDEX_TYPES, ...SINGLE_TYPES].join(', ');
    const path = `/v2/${place.path}/manifests/${reference}`;
    try {
      const { status, headers } = await this.#ask(place, path, { method: 'HEAD', headers: { accept } }, 'pull');
      return {
        status,
        digest: headers.get('docker-content-digest'),
        pulls: pullsOf(headers.get('ratelimit-remaining'), headers.get('ratelimit-limit')),
        clock: secondsOf(headers.get('date')),
      };
    } catch (error) {
      // The one that gives out tokens said no.
      if (!(error instanceof UserError) || error.code === 'UNREACHABLE') throw error;
      return { status: error.code === 'AUTHENTICATION' ? 401 : 500, digest: null, pulls: null, clock: null };
    }
  }

  /** Whether a repository is there, whatever is in it; null where the registry does not say. Throws UNREACHABLE (exit 4). */
  async knows(place: RegistryPlace): Promise<boolean | null> {
    const { status } = await this.#ask(place, `/v2/${place.path}/tags/list?n=1`, { method: 'GET' }, 'pull');
    return status === 200 ? true : status === 404 ? false : null;
  }

  /** Throws UNREACHABLE (exit 4) unless the registry answers, whatever it answers. */
  async requireAnswer(registry: string): Promise<void> {
    await this.#transport.send(registry, '/v2/', { method: 'GET' });
  }

  /**
   * The image under an image tag or digest, or null. Every platform it names was asked for, so that what is returned can be
   * pulled. Throws UNREACHABLE, AUTHENTICATION (exit 4), or FAILED for an answer that is none.
   */
  async image(place: RegistryPlace, reference: string): Promise<RegistryImage | null> {
    const manifest = await this.manifest(place, reference);
    if (manifest === null) return null;
    const found = INDEX_TYPES.includes(manifest.mediaType)
      ? await this.#platformsOf(place, manifest)
      : [await this.#platformOf(place, manifest)];
    const platforms = found.filter((entry) => entry !== null);
    const revisions = new Set(platforms.map(({ revision }) => revision));
    const [revision = null] = revisions;
    return {
      digest: manifest.digest,
      platforms: Object.fromEntries(platforms.map(({ platform, digest }) => [platform, digest])),
      revision: revisions.size === 1 ? revision : null,
    };
  }

  /** The manifest under an image tag or digest, or null. */
  async manifest(place: RegistryPlace, reference: string): Promise<Manifest | null> {
    const accept = [...INDEX_TYPES, ...SINGLE_TYPES].join(', ');
    const path = `/v2/${place.path}/manifests/${reference}`;
    const { status, headers, bytes } = await this.#ask(place, path, { method: 'GET', headers: { accept } }, 'pull');
    if (status === 404) return null;
    expectSuccess(place, status, bytes);
    const mediaType = (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
    return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, mediaType, bytes };
  }

  /** Puts a manifest that the repository already has under one more image tag. Nothing else is sent. */
  async putManifest(place: RegistryPlace, tag: string, manifest: Manifest): Promise<void> {
    const request = { method: 'PUT' as const, headers: { 'content-type': manifest.mediaType }, body: manifest.bytes };
    const answer = await this.#ask(place, `/v2/${place.path}/manifests/${tag}`, request, 'pull,push');
    expectSuccess(place, answer.status, answer.bytes);
  }

  async #platformsOf(place: RegistryPlace, index: Manifest): Promise<(Platform | null)[]> {
    const { manifests } = indexSchema.parse(jsonOf(index.bytes));
    // Attestations stand among the platforms as "unknown/unknown".
    const real = manifests.filter(({ platform }) => platform === undefined || platform.os !== 'unknown');
    return Promise.all(
      real.map(async ({ digest }) => {
        const manifest = await this.manifest(place, digest);
        return manifest === null ? null : this.#platformOf(place, manifest);
      }),
    );
  }

  async #platformOf(place: RegistryPlace, manifest: Manifest): Promise<Platform | null> {
    const parsed = singleSchema.safeParse(jsonOf(manifest.bytes));
    if (!parsed.success) return null;
    const path = `/v2/${place.path}/blobs/${parsed.data.config.digest}`;
    const { status, bytes } = await this.#ask(place, path, { method: 'GET' }, 'pull');
    if (status === 404) return null;
    expectSuccess(place, status, bytes);
    const { config, ...platform } = configSchema.parse(jsonOf(bytes));
    return { platform: platformName(platform), digest: manifest.digest, revision: config?.Labels?.[REVISION] ?? null };
  }

  async #ask(place: RegistryPlace, path: string, request: RegistryRequest, actions: string): Promise<RegistryAnswer> {
    const scope = `repository:${place.path}:${actions}`;
    const key = `${place.registry} ${scope}`;
    const authorized = (): RegistryRequest => {
      const authorization = this.#authorizations.get(key);
      return authorization === undefined ? request : { ...request, headers: { ...request.headers, authorization } };
    };
    const first = await this.#transport.send(place.registry, path, authorized());
    if (first.status !== 401) return first;
    const challenge = first.headers.get('www-authenticate') ?? '';
    const authorization = await this.#authorize(place, challenge, scope);
    if (authorization === null) return refuseAccess(place, 401);
    this.#authorizations.set(key, authorization);
    return this.#transport.send(place.registry, path, authorized());
  }

  /** Answers a registry's challenge: with a password where it asks for one, else with a token from the place it names. */
  async #authorize({ registry, path }: RegistryPlace, challenge: string, scope: string): Promise<string | null> {
    const kept = this.#credentials.get(registry) ?? credentialsFor(registry);
    this.#credentials.set(registry, kept);
    const credentials = await kept;
    if (/^basic/i.test(challenge)) return credentials === null ? null : basic(credentials);
    const { realm, service } = parametersOf(challenge);
    if (realm === undefined) return null;
    const request = tokenRequest(realm, service, scope, credentials);
    const { status, bytes } = await this.#transport.sendTo(registry, ...request);
    expectSuccess({ registry, path }, status, bytes);
    const { token, access_token } = tokenSchema.parse(jsonOf(bytes));
    return `Bearer ${token ?? access_token ?? ''}`;
  }
}

function secondsOf(date: string | null): number | null {
  const time = Date.parse(date ?? '');
  return Number.isNaN(time) ? null : time / 1000;
}

/** `76;w=21600`: so many, in a window of so many seconds. */
function pullsOf(remaining: string | null, limit: string | null): PullBudget | null {
  const [, left] = /^(\d+)/.exec(remaining ?? '') ?? [];
  const [, whole, window] = /^(\d+)(?:;w=(\d+))?/.exec(limit ?? '') ?? [];
  return left === undefined || whole === undefined
    ? null
    : { left: Number(left), of: Number(whole), window: Number(window ?? 21_600) };
}

function expectSuccess(place: RegistryPlace, status: number, bytes: Uint8Array): void {
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) refuseAccess(place, status);
  const { registry, path } = place;
  fail(
    status === 429 || status >= 500 ? 'UNREACHABLE' : 'FAILED',
    {
      en: `the registry ${registry} answered ${status} for ${path}`,
      zh: `镜像仓库 ${registry} 对 ${path} 返回了 ${status}`,
    },
    { evidence: new TextDecoder().decode(bytes.subarray(0, 2_000)).trim() },
  );
}

/** `linux/arm64` for arm64 of any spelling: its variant v8 is the only one there is. */
export function platformName(platform: { os: string; architecture: string; variant?: string | undefined }): string {
  const { os, architecture, variant } = platform;
  const plain = variant === undefined || variant === '' || (architecture === 'arm64' && variant === 'v8');
  return plain ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

interface Platform {
  readonly platform: string;
  readonly digest: string;
  readonly revision: string | null;
}

function tokenRequest(
  realm: string,
  service: string | undefined,
  scope: string,
  credentials: Credentials | null,
): [string, RegistryRequest] {
  if (credentials?.user === null) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'xingrin',
      scope,
      ...(service === undefined ? {} : { service }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return [realm, { method: 'POST', headers, body: form.toString() }];
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope);
  return [url.href, { method: 'GET', headers: credentials === null ? {} : { authorization: basic(credentials) } }];
}

function basic(credentials: Credentials): string {
  const { user, password } =
    credentials.user === null ? { user: '<token>', password: credentials.identityToken } : credentials;
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** The parameters of a `WWW-Authenticate: Bearer realm="…",service="…"` header. */
function parametersOf(challenge: string): Record<string, string | undefined> {
  const pairs = [...challenge.matchAll(/(\w+)="([^"]*)"/g)];
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name.toLowerCase(), value]));
}

function refuseAccess({ registry, path }: RegistryPlace, status: number): never {
  const login = registry === 'docker.io' ? 'docker login' : `docker login ${registry}`;
  return fail(
    'AUTHENTICATION',
    {
      en: `the registry ${registry} refuses access to ${path} (${status})`,
      zh: `镜像仓库 ${registry} 拒绝访问 ${path}(${status})`,
    },
    { hint: { en: `log in with: ${login}`, zh: `请先登录:${login}` } },
  );
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
