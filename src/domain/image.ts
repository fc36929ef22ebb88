import { fail } from './errors.ts';
import { quoted } from './quote.ts';
import { same, type Text } from './text.ts';

/** The images that a release consists of where xingrin.yaml names no others. */
export const DEFAULT_IMAGES = [
  'xingrin-server',
  'xingrin-frontend',
  'xingrin-nginx',
  'xingrin-worker',
  'xingrin-agent',
] as const;

/** Where the images are where nothing else says so. */
export const DEFAULT_REPOSITORY = 'yyhuni';

/** An image reference in its parts, with Docker's defaults filled in. */
export interface Reference {
  /** `docker.io` where none is named. */
  readonly registry: string;
  /** Without the registry; `library/redis` for `redis`. */
  readonly path: string;
  /** `latest` where neither tag nor digest is given; null for a digest without a tag. */
  readonly tag: string | null;
  /** `sha256:…`, or null. */
  readonly digest: string | null;
}

const HUB = 'docker.io';
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = `(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?`;
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const REGISTRY = new RegExp(`^${HOST}$`);
const NAME = new RegExp(`^${COMPONENT}$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}$/;

/** Docker refuses longer names. */
const LONGEST = 255;
/** What that leaves for the repository: an image's name has 128 at most, and there is a slash between them. */
const ROOM = LONGEST - 129;

/** `repo/image:tag`, as Docker and the compose file spell it. */
export function imageName(repository: string, image: string, tag: string): string {
  return `${repository}/${image}:${tag}`;
}

/** Two references, each by what tells it from the other: their image tags where the rest is the same. */
export function apart(one: string, other: string): [string, string] {
  const name = (reference: string): string => reference.replace(/:[^/:@]*$/, '');
  return name(one) === name(other) && tagOf(one) !== tagOf(other) ? [tagOf(one), tagOf(other)] : [one, other];
}

/**
 * Reads what stands before `/xingrin-server`: a Docker Hub user, or a registry with a path. Throws BAD_INPUT (exit 2) that
 * names `field` and the rule.
 */
export function parseRepository(text: string, field: Text | string): string {
  const rule = brokenRule(text);
  return rule === null ? text : refuse(text, field, rule);
}

export function isRepository(text: string): boolean {
  return brokenRule(text) === null;
}

/** Whether this may be the name of an image of the matrix: one component of an image's path. */
export function isImageName(text: string): boolean {
  return text.length <= 128 && NAME.test(text);
}

function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Whether this is the digest of an image: `sha256:` and 64 hexadecimal digits. */
export function isDigest(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

/** What stands behind the last colon of a reference; the reference itself where it names no image tag. For people to read. */
export function tagOf(reference: string): string {
  return /:([^:/@]*)$/.exec(reference)?.[1] ?? reference;
}

/** Takes an image reference apart by Docker's rules. Throws BAD_INPUT (exit 2) for what Docker would refuse. */
export function splitReference(reference: string): Reference {
  const at = reference.indexOf('@');
  const digest = at < 0 ? null : reference.slice(at + 1);
  const named = at < 0 ? reference : reference.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const tag = colon < 0 ? null : named.slice(colon + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const { registry, path } = splitName(name);
  const sound = PATH.test(path) && REGISTRY.test(registry) && name.length <= LONGEST;
  if (!sound || (tag !== null && !isTag(tag)) || (digest !== null && !DIGEST.test(digest))) {
    return fail('BAD_INPUT', {
      en: `${quoted(reference)} is not an image reference`,
      zh: `${quoted(reference)} 不是有效的镜像引用`,
    });
  }
  const official = registry === HUB && !path.includes('/');
  return {
    registry,
    path: official ? `library/${path}` : path,
    tag: tag ?? (digest === null ? 'latest' : null),
    digest,
  };
}

/** Where an image's Dockerfile is, from the project root: `docker/server/Dockerfile` for `xingrin-server`. */
export function dockerfileOf(image: string): string {
  return `docker/${image.replace(/^xingrin-/, '')}/Dockerfile`;
}

/** Docker takes the first part for a registry if it has a dot or a port, has capital letters, or is `localhost`. */
function splitName(name: string): { registry: string; path: string } {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isHost = slash > 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  if (!isHost) return { registry: HUB, path: name };
  return { registry: first === 'index.docker.io' ? HUB : first, path: name.slice(slash + 1) };
}

function brokenRule(text: string): Text | null {
  if (text === '') return { en: 'it must not be empty', zh: '不能为空' };
  if (text.length > ROOM)
    return {
      en: `it must not be longer than ${ROOM} characters`,
      zh: `长度不能超过 ${ROOM} 个字符`,
    };
  if (text.includes('://')) return { en: 'it must not begin with a protocol', zh: '不能带协议前缀' };
  const { registry, path } = splitName(text);
  const host = registry === HUB || registry === 'localhost' || /[.:]/.test(registry);
  if (host && PATH.test(path) && REGISTRY.test(registry)) return null;
  // A registry without a path: what follows the slash is then the image itself.
  if (!text.includes('/') && /[.:]/.test(text) && REGISTRY.test(text)) return null;
  return {
    en: 'it must be a path of lower-case names, after a registry if need be, without tag',
    zh: '必须是小写名称组成的路径,前面可带镜像仓库地址,不能带标签',
  };
}

function refuse(text: string, field: Text | string, rule: Text): never {
  const where = typeof field === 'string' ? same(field) : field;
  return fail(
    'BAD_INPUT',
    {
      en: `${where.en}: ${quoted(text)} is not an image repository: ${rule.en}`,
      zh: `${where.zh}:${quoted(text)} 不是有效的镜像仓库:${rule.zh}`,
    },
    {
      hint: {
        en: 'name a Docker Hub user (yyhuni) or a registry and a path (registry.example.com/team)',
        zh: '请填写 Docker Hub 用户名(yyhuni)或镜像仓库地址加路径(registry.example.com/team)',
      },
    },
  );
}
