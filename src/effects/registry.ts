import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { PullBudget } from '../domain/check-registry.ts';
import { fail, UserError } from '../domain/errors.ts';
import { jsonOrNull } from '../domain/json.ts';
import { credentialsFor, type Credentials } from './docker-credentials.ts';
import { basic, challengeOf, realmOf, tokenIn, tokenRequest } from './registry-login.ts';
import type { RegistryAnswer, RegistryRequest } from './registry-request.ts';
import { RegistryTransport, type RegistryManners } from './registry-transport.ts';

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

/** As registries write digests. It becomes part of an address, so nothing else may stand in it. */
const DIGEST = /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Platforms of one image that we ask about; the images with the most have some thirty. */
const MOST_PLATFORMS = 200;

const digestSchema = z.string().regex(DIGEST);
const wordSchema = z.string().regex(/^[\w.-]{0,64}$/);
const platformSchema = z.object({ os: wordSchema, architecture: wordSchema, variant: wordSchema.optional() });
const indexSchema = z.object({
  manifests: z.array(z.object({ digest: digestSchema, platform: platformSchema.optional() })).max(MOST_PLATFORMS),
});
const singleSchema = z.object({ config: z.object({ digest: digestSchema }) });
const configSchema = platformSchema.extend({
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});
/** What tells an index from a single manifest. One that could be read as either means different images to different readers. */
const kindSchema = z.looseObject({ mediaType: z.string().optional() });

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
        digest: digestNamedIn(headers),
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
   * pulled. Throws UNREACHABLE, AUTHENTICATION (exit 4), DIGEST_DIFFERS (exit 6) for other bytes than were asked for, or FAILED for an
   * answer that is none.
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

  /** The manifest under an image tag or digest, or null. Throws as {@link image}. */
  async manifest(place: RegistryPlace, reference: string): Promise<Manifest | null> {
    const accept = [...INDEX_TYPES, ...SINGLE_TYPES].join(', ');
    const path = `/v2/${place.path}/manifests/${reference}`;
    const answer = await this.#ask(place, path, { method: 'GET', headers: { accept } }, 'pull');
    if (answer.status === 404) return null;
    expectSuccess(place, answer);
    const { headers, bytes } = answer;
    requireDigest(place, DIGEST.test(reference) ? reference : digestNamedIn(headers), bytes);
    const mediaType = (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
    requireOneMeaning(place, mediaType, bytes);
    return { digest: digestOf(bytes), mediaType, bytes };
  }

  /** Puts a manifest that the repository already has under one more image tag. Nothing else is sent. */
  async putManifest(place: RegistryPlace, tag: string, manifest: Manifest): Promise<void> {
    const request = { method: 'PUT' as const, headers: { 'content-type': manifest.mediaType }, body: manifest.bytes };
    const answer = await this.#ask(place, `/v2/${place.path}/manifests/${tag}`, request, 'pull,push');
    expectSuccess(place, answer);
  }

  async #platformsOf(place: RegistryPlace, index: Manifest): Promise<(Platform | null)[]> {
    const { manifests } = parsed(indexSchema, place, index.bytes);
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
    const single = singleSchema.safeParse(jsonIn(manifest.bytes));
    if (!single.success) return null;
    const { digest } = single.data.config;
    const answer = await this.#ask(place, `/v2/${place.path}/blobs/${digest}`, { method: 'GET' }, 'pull');
    if (answer.status === 404) return null;
    expectSuccess(place, answer);
    requireDigest(place, digest, answer.bytes);
    const { config, ...platform } = parsed(configSchema, place, answer.bytes);
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
    const authorization = await this.#authorize(place, first, scope);
    if (authorization === null) return refuseAccess(place, 401);
    this.#authorizations.set(key, authorization);
    return this.#transport.send(place.registry, path, authorized());
  }

  /** Answers a registry's challenge: with a password where it asks for one, else with a token from the place it names. */
  async #authorize({ registry, path }: RegistryPlace, answer: RegistryAnswer, scope: string): Promise<string | null> {
    const where = { registry, ...(await this.#transport.whereIs(registry)) };
    // Another host, to which the registry has redirected us, has nothing to ask for.
    if (answer.origin !== where.base.origin) return null;
    const challenge = challengeOf(answer.headers.get('www-authenticate') ?? '');
    if (challenge === null) return null;
    const kept = this.#credentials.get(registry) ?? credentialsFor(registry);
    this.#credentials.set(registry, kept);
    const credentials = await kept;
    if (challenge.scheme === 'basic') return credentials === null ? null : basic(credentials);
    const realm = realmOf(challenge.realm, where, credentials !== null);
    const { url, request } = tokenRequest(realm, challenge.service, scope, credentials);
    const token = await this.#transport.sendTo(registry, url, request);
    expectSuccess({ registry, path }, token, realm);
    return `Bearer ${tokenIn(token.bytes, realm)}`;
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

/** @param realm where the answer is from, if not from the registry itself */
function expectSuccess(place: RegistryPlace, { status, bytes, headers }: RegistryAnswer, realm?: URL): void {
  if (status >= 200 && status < 300) return;
  if (status === 401 || status === 403) refuseAccess(place, status);
  const { registry, path } = place;
  const name = realm === undefined ? registry : realm.origin;
  const wait = headers.get('retry-after');
  const busy = {
    en: `it has been asked too often; try again later${wait === null ? '' : ` (Retry-After: ${wait})`}, or log in: ${loginAt(registry)}`,
    zh: `请求过于频繁;请稍后再试${wait === null ? '' : `(Retry-After: ${wait})`},或先登录:${loginAt(registry)}`,
  };
  fail(
    status === 429 || status >= 500 ? 'UNREACHABLE' : 'FAILED',
    {
      en: `the registry ${name} answered ${status} for ${path}`,
      zh: `镜像仓库 ${name} 对 ${path} 返回了 ${status}`,
    },
    {
      evidence: new TextDecoder().decode(bytes.subarray(0, 2_000)).trim(),
      ...(status === 429 ? { hint: busy } : {}),
    },
  );
}

/** The digest that a registry gives for what it answers; null where it names none. */
function digestNamedIn(headers: RegistryAnswer['headers']): string | null {
  const named = headers.get('docker-content-digest') ?? '';
  return DIGEST.test(named) ? named : null;
}

function digestOf(bytes: Uint8Array, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** Throws DIGEST_DIFFERS (exit 6) unless the bytes are those that a digest stands for; null: none was named. */
function requireDigest({ registry, path }: RegistryPlace, digest: string | null, bytes: Uint8Array): void {
  if (digest === null) return;
  const [algorithm = ''] = digest.split(':');
  const found = digestOf(bytes, algorithm);
  if (found === digest) return;
  fail(
    'DIGEST_DIFFERS',
    {
      en: `the registry ${registry} answers with other bytes for ${path} than their digest says: ${digest} was to come, ${found} came`,
      zh: `镜像仓库 ${registry} 对 ${path} 的应答与摘要不符:应为 ${digest},实为 ${found}`,
    },
    {
      hint: {
        en: `the registry, or a proxy or mirror before it, changes what it gives out; do not use it before that is explained`,
        zh: `镜像仓库或其前面的代理、镜像站篡改了内容;查明原因前请勿使用`,
      },
    },
  );
}

/** Throws FAILED for a manifest that says two things of what it is: readers would not agree on which image it means. */
function requireOneMeaning(place: RegistryPlace, mediaType: string, bytes: Uint8Array): void {
  const read = kindSchema.safeParse(jsonIn(bytes));
  const known = [...INDEX_TYPES, ...SINGLE_TYPES].includes(mediaType);
  if (!known || !read.success) return;
  const own = read.data.mediaType ?? mediaType;
  const both = 'manifests' in read.data && ('config' in read.data || 'layers' in read.data);
  if (own !== mediaType || both) refuseAnswer(place);
}

function parsed<T>(schema: z.ZodType<T>, place: RegistryPlace, bytes: Uint8Array): T {
  const read = schema.safeParse(jsonIn(bytes));
  return read.success ? read.data : refuseAnswer(place);
}

function refuseAnswer({ registry, path }: RegistryPlace): never {
  return fail('FAILED', {
    en: `what the registry ${registry} answers for ${path} does not describe an image`,
    zh: `镜像仓库 ${registry} 对 ${path} 的应答不是镜像描述`,
  });
}

function jsonIn(bytes: Uint8Array): unknown {
  return jsonOrNull(new TextDecoder().decode(bytes));
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

function refuseAccess({ registry, path }: RegistryPlace, status: number): never {
  const login = loginAt(registry);
  return fail(
    'AUTHENTICATION',
    {
      en: `the registry ${registry} refuses access to ${path} (${status})`,
      zh: `镜像仓库 ${registry} 拒绝访问 ${path}(${status})`,
    },
    { hint: { en: `log in with: ${login}`, zh: `请先登录:${login}` } },
  );
}

function loginAt(registry: string): string {
  return registry === 'docker.io' ? 'docker login' : `docker login ${registry}`;
}
