import * as z from 'zod';
import { fail } from './errors.ts';
import { isDigest, isImageName, isRepository } from './image.ts';
import { quoted } from './quote.ts';
import { dotted, findings, ruled } from './schema.ts';
import type { Text } from './text.ts';
import { isVersion, type Version } from './version.ts';

/** One image of a release, as the registry holds it. */
export interface LockedImage {
  /** What stands before `/xingrin-server`: a Docker Hub user, or a registry and a path. */
  readonly repository: string;
  /** Of what the image tag names: the index, or the manifest where there is one platform only. */
  readonly digest: string;
  /** The manifest of every platform: `linux/amd64` → `sha256:…`. */
  readonly platforms: Readonly<Record<string, string>>;
}

/** `releases/vX.Y.Z.json` (contract, section 4): what a release consists of, byte for byte. */
export interface ReleaseLock {
  readonly version: Version;
  /** The commit that the images were built from, in full. */
  readonly commit: string;
  readonly images: Readonly<Record<string, LockedImage>>;
}

/** An image that is not what the release lock says. */
export interface DigestDifference {
  readonly image: string;
  /** Null for an image that the release does not have. */
  readonly expected: string | null;
  /** Null for an image that is not there. */
  readonly observed: string | null;
}

const SCHEMA = 'xingrin-release/v1';

const digest = ruled(
  { en: 'must be sha256: and 64 hexadecimal digits', zh: '必须是 sha256: 加 64 位十六进制数字' },
  /^sha256:[0-9a-f]{64}$/,
  isDigest,
);
const platform = ruled(
  { en: 'a platform looks like linux/amd64', zh: '平台形如 linux/amd64' },
  /^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/,
);

const lockSchema = z.object({
  schema: z.literal(SCHEMA),
  version: ruled({ en: 'must be a version like v1.2.3', zh: '必须是形如 v1.2.3 的版本号' }, /^v\d/, isVersion),
  commit: ruled({ en: 'must be a whole commit id', zh: '必须是完整的提交 ID' }, /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/),
  images: filled(
    z.record(
      ruled({ en: 'must be the name of an image', zh: '必须是镜像名称' }, /^[a-z0-9._-]+$/, isImageName),
      z.object({
        repository: ruled({ en: 'must be an image repository', zh: '必须是镜像仓库' }, /^[^\s@]+$/, isRepository),
        digest,
        platforms: filled(z.record(platform, digest)),
      }),
    ),
  ),
});

/** Where the lock of a version is, from the project root. */
export function lockPath(version: Version): string {
  return `releases/${version}.json`;
}

/** Reads a release lock. Throws BAD_INPUT (exit 2) naming `path`, the place in it and the rule. */
export function parseReleaseLock(text: string, path: string): ReleaseLock {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return refuse(path, { en: 'it is not JSON', zh: '不是有效的 JSON' });
  }
  const read = lockSchema.safeParse(document);
  if (!read.success) {
    const [first] = findings(read.error);
    const place = dotted(first?.path ?? []);
    const rule = first?.rule ?? { en: 'it is not a release lock', zh: '不是发布锁文件' };
    return refuse(path, place === '' ? rule : { en: `${place} ${rule.en}`, zh: `${place} ${rule.zh}` });
  }
  const { version, commit, images } = read.data;
  if (!isVersion(version)) throw new Error('the schema let a version through');
  const named = /(?:^|\/)(v[^/]*)\.json$/.exec(path)?.[1];
  if (named !== undefined && named !== version)
    return refuse(path, { en: `it is the lock of ${quoted(version)}`, zh: `它是 ${quoted(version)} 的发布锁` });
  return { version, commit, images };
}

/** The file's text: always the same for the same release. */
export function formatReleaseLock({ version, commit, images }: ReleaseLock): string {
  const ordered = sorted(images, ({ repository, digest: whole, platforms }) => ({
    repository,
    digest: whole,
    platforms: sorted(platforms, (each) => each),
  }));
  return `${JSON.stringify({ schema: SCHEMA, version, commit, images: ordered }, null, 2)}\n`;
}

/**
 * What differs between the lock and digests read from a registry or an engine, by image name; null stands for an image that is
 * not there. Either the digest of the index or that of a platform will do: engines name the one or the other.
 */
export function compareDigests(
  lock: ReleaseLock,
  observed: Readonly<Record<string, string | null>>,
): DigestDifference[] {
  return Object.entries(observed).flatMap(([image, found]) => {
    const locked = Object.hasOwn(lock.images, image) ? lock.images[image] : undefined;
    const fits =
      locked !== undefined && found !== null && [locked.digest, ...Object.values(locked.platforms)].includes(found);
    return fits ? [] : [{ image, expected: locked?.digest ?? null, observed: found }];
  });
}

function filled<T extends z.ZodType<object>>(schema: T): T {
  const rule: Text = { en: 'must not be empty', zh: '不能为空' };
  return schema.refine((value) => Object.keys(value).length > 0, { params: { rule } });
}

function sorted<T, R>(record: Readonly<Record<string, T>>, map: (value: T) => R): Record<string, R> {
  const entries = Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)]));
}

function refuse(path: string, rule: Text): never {
  return fail('BAD_INPUT', {
    en: `${path} is not a release lock: ${rule.en}`,
    zh: `${path} 不是有效的发布锁文件:${rule.zh}`,
  });
}
