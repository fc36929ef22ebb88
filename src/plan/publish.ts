import type { ImageConfig } from '../domain/config.ts';
import { fail } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { lockPath, type LockedImage } from '../domain/release-lock.ts';
import { nearest } from '../domain/suggest.ts';
import { same, type Text } from '../domain/text.ts';
import { compareVersions, isPrerelease, type Version } from '../domain/version.ts';
import type { Builder } from '../effects/builder.ts';
import type { RegistryImage } from '../effects/registry.ts';
import type { Publication, PublishFacts } from '../observe/publish.ts';
import { makePlan, MAIN_HOST, type Plan, type Step } from './plan.ts';

/** All of it, only the end, or one image of it. */
export type Part = 'all' | 'finalize' | { readonly image: string };

export type ImageParams = {
  readonly name: string;
  readonly dockerfile: string;
  readonly context: string;
  readonly platforms: readonly string[];
};

/** What every step of publishing is told. */
export type PublishParams = {
  readonly version: Version;
  readonly commit: string;
  readonly created: string;
  readonly source: string | null;
  readonly repository: string;
  readonly prefix: string;
  readonly mainBranch: string;
  readonly images: readonly ImageParams[];
};

/** Something about an image that must not be so for it to be announced. */
export interface Shortcoming {
  readonly image: string;
  readonly text: Text;
}

/** Refuses (exit 2) an image that is not in the matrix. */
export function requireImage(image: string, images: readonly ImageConfig[]): void {
  const names = images.map(({ name }) => name);
  if (names.includes(image)) return;
  const meant = nearest(image, names) ?? nearest(`xingrin-${image}`, names);
  fail(
    'USAGE',
    { en: `this release has no image ${JSON.stringify(image)}`, zh: `该版本不含镜像 ${JSON.stringify(image)}` },
    {
      hint:
        meant === null
          ? { en: `it has ${names.join(', ')}`, zh: `可选:${names.join('、')}` }
          : { en: `did you mean ${meant}?`, zh: `是否想输入 ${meant}?` },
    },
  );
}

/** The images that have to be built. Throws PRECONDITION (exit 6) where the name holds something else already. */
export function imagesToBuild({ publication, images, main }: PublishFacts): ImageConfig[] {
  const { version, commit, repository } = publication;
  const lock = main?.lock ?? null;
  if (lock !== null) requireLocked(publication, images, lock);
  const taken = publication.images.find(({ name }) => {
    const there = images.get(name);
    return there !== undefined && there !== null && there.revision !== commit && lock === null;
  });
  if (taken !== undefined) {
    const revision = images.get(taken.name)?.revision ?? null;
    const reference = imageName(repository, taken.name, version);
    const other = {
      en: revision === null ? 'an unknown commit' : `commit ${revision.slice(0, 10)}`,
      zh: revision?.slice(0, 10) ?? '未知',
    };
    fail(
      'PRECONDITION',
      {
        en: `${reference} is in the registry already, built from ${other.en}, not from ${commit.slice(0, 10)}`,
        zh: `${reference} 已存在于镜像仓库,来自提交 ${other.zh},而不是 ${commit.slice(0, 10)}`,
      },
      {
        hint: {
          en: 'a published version is never overwritten: release a higher one, or delete that image tag in the registry',
          zh: '已发布的版本不会被覆盖:请发布更高的版本,或在镜像仓库中删除该标签',
        },
      },
    );
  }
  return publication.images.filter((image) => {
    const there = images.get(image.name);
    return there !== undefined && (there === null || lacking(image, there).length > 0);
  });
}

/** Refuses (exit 6) a published version whose images are no longer what its release lock says. */
function requireLocked(
  { version, commit, images, repository }: Publication,
  found: PublishFacts['images'],
  lock: NonNullable<NonNullable<PublishFacts['main']>['lock']>,
): void {
  const higher = {
    en: 'a version is published once: release a higher one',
    zh: '同一版本只发布一次:请发布更高的版本',
  };
  if (lock.commit !== commit) {
    fail(
      'PRECONDITION',
      {
        en: `${version} was published from ${lock.commit.slice(0, 10)}; its git tag has been moved to ${commit.slice(0, 10)}`,
        zh: `${version} 发布自 ${lock.commit.slice(0, 10)},但其 git 标签已被移到 ${commit.slice(0, 10)}`,
      },
      { hint: higher },
    );
  }
  for (const { name } of images) {
    const locked = Object.hasOwn(lock.images, name) ? lock.images[name] : undefined;
    const there = found.get(name);
    if (locked === undefined || there === undefined) continue;
    if (locked.repository !== repository) {
      fail(
        'PRECONDITION',
        {
          en: `${version} is published in ${locked.repository}, not in ${repository}`,
          zh: `${version} 已发布在 ${locked.repository},而不是 ${repository}`,
        },
        { hint: same(`DOCKER_USER=${locked.repository} xingrin publish ${version}`) },
      );
    }
    const reference = imageName(repository, name, version);
    if (there === null) {
      fail(
        'IMAGE_MISSING',
        {
          en: `${version} is published, yet ${reference} is gone from the registry`,
          zh: `${version} 已发布,但镜像仓库中已没有 ${reference}`,
        },
        { hint: higher },
      );
    }
    if (there.digest !== locked.digest) {
      fail(
        'DIGEST_DIFFERS',
        {
          en: `${reference} is ${there.digest} in the registry, ${locked.digest} in ${lockPath(version)}`,
          zh: `${reference} 在镜像仓库中为 ${there.digest},而 ${lockPath(version)} 中为 ${locked.digest}`,
        },
        { hint: higher },
      );
    }
  }
}

/**
 * Decides the steps.
 *
 * @param missing what {@link imagesToBuild} said
 * @param builder null where nothing is to be built
 */
export function planPublish(facts: PublishFacts, part: Part, missing: readonly ImageConfig[], builder: Builder): Plan {
  const { publication, main } = facts;
  const { version } = publication;
  if (part === 'finalize') requireComplete(shortcomings(publication, facts.images), publication);
  const params = paramsOf(publication);
  const steps: Step[] = buildSteps(params, missing, builder);
  if (main === null) {
    const names = missing.map(({ name }) => name);
    if (names.length > 0)
      steps.push(verifyStep({ ...params, images: params.images.filter(({ name }) => names.includes(name)) }));
  } else {
    const moves = !isPrerelease(version) && (main.version === null || compareVersions(version, main.version) > 0);
    if (main.lock === null) {
      if (part !== 'finalize') steps.push(verifyStep(params));
      steps.push(step('publish-finalize', params, finalizeTitle(params, moves)));
    } else if (moves) {
      steps.push(step('publish-finalize', params, finalizeTitle(params, moves)));
    }
    if (latestMoves(facts)) {
      steps.push(
        step('publish-latest', params, {
          en: `move latest to ${version}`,
          zh: `将 latest 移到 ${version}`,
        }),
      );
    }
    const finalizes = steps.some(({ kind }) => kind === 'publish-finalize');
    if (finalizes && facts.canFollow) {
      steps.push(
        step('publish-follow', params, {
          en: `bring this checkout to the new ${publication.mainBranch}`,
          zh: `将本地检出快进到新的 ${publication.mainBranch}`,
        }),
      );
    }
  }
  return makePlan({
    command: 'publish',
    from: isPrerelease(version) || main === null ? version : main.version,
    to: version,
    commit: publication.commit,
    steps,
  });
}

/** Whether `latest` has to move: this is the highest stable version, and some image's `latest` is another. */
function latestMoves({ publication, images, latest, main }: PublishFacts): boolean {
  const { version } = publication;
  const higher = main?.highestStable ?? null;
  if (isPrerelease(version) || (higher !== null && compareVersions(higher, version) > 0)) return false;
  return publication.images.some(({ name }) => {
    const there = images.get(name) ?? null;
    return there === null || latest.get(name) !== there.digest;
  });
}

function buildSteps(params: PublishParams, missing: readonly ImageConfig[], builder: Builder): Step[] {
  if (missing.length === 0) return [];
  const images = missing.map(imageParams);
  const kept = params.images.length - missing.length;
  const names = images.map(({ name }) => name).join(', ');
  if (builder === 'bake') {
    const rest = kept === 0 ? same('') : { en: `; ${kept} there already`, zh: `;另有 ${kept} 个已存在` };
    return [
      step(
        'publish-build',
        { ...params, images },
        {
          en: `build and push ${images.length === 1 ? 'one image' : `${images.length} images side by side`}: ${names}${rest.en}`,
          zh: `并行构建并推送 ${images.length} 个镜像:${names}${rest.zh}`,
        },
      ),
    ];
  }
  const wave = { en: 'build and push the images', zh: '构建并推送镜像' };
  return images.map((image) => ({
    ...step(
      'publish-build-one',
      { ...params, images: [image] },
      { en: `build and push ${image.name}`, zh: `构建并推送 ${image.name}` },
    ),
    wave,
  }));
}

function verifyStep(params: PublishParams): Step {
  const { length } = params.images;
  return step('publish-verify', params, {
    en: `verify that ${length === 1 ? 'the image answers' : `all ${length} images answer`} in the registry, on every platform`,
    zh: `核对 ${length} 个镜像及其所有平台在镜像仓库中可用`,
  });
}

function finalizeTitle({ version, mainBranch }: PublishParams, moves: boolean): Text {
  return moves
    ? {
        en: `announce it: one commit on ${mainBranch} with ${lockPath(version)} and VERSION ${version}`,
        zh: `公布:在 ${mainBranch} 上用一个提交写入 ${lockPath(version)} 和 VERSION ${version}`,
      }
    : {
        en: `announce it: one commit on ${mainBranch} with ${lockPath(version)}; VERSION stays`,
        zh: `公布:在 ${mainBranch} 上用一个提交写入 ${lockPath(version)};VERSION 不变`,
      };
}

/** What keeps these images from being announced as this commit's, by image; empty if nothing does. */
export function shortcomings(
  { images, commit, version, repository }: Pick<PublishParams, 'images' | 'commit' | 'version' | 'repository'>,
  found: ReadonlyMap<string, RegistryImage | null>,
): Shortcoming[] {
  const list: Shortcoming[] = [];
  for (const image of images) {
    const there = found.get(image.name) ?? null;
    const reference = imageName(repository, image.name, version);
    const say = (en: string, zh: string): void => {
      list.push({ image: image.name, text: { en: `${reference} ${en}`, zh: `${reference} ${zh}` } });
    };
    if (there === null) {
      say('is not in the registry', '不在镜像仓库中');
    } else if (there.revision !== commit) {
      const other = there.revision?.slice(0, 10) ?? '?';
      say(`is of commit ${other}, not of ${commit.slice(0, 10)}`, `来自提交 ${other},而不是 ${commit.slice(0, 10)}`);
    } else {
      const platforms = lacking(image, there);
      if (platforms.length > 0) say(`lacks ${platforms.join(', ')}`, `缺少平台 ${platforms.join('、')}`);
    }
  }
  return list.length > 0 ? list : unlikePlatforms(images, found);
}

/** Images without declared platforms have been built for whatever machine built them: they must have one in common. */
function unlikePlatforms(
  images: readonly ImageParams[],
  found: ReadonlyMap<string, RegistryImage | null>,
): Shortcoming[] {
  const own = images.filter(({ platforms }) => platforms.length === 0);
  const sets = own.map(({ name }) => Object.keys(found.get(name)?.platforms ?? {}));
  const [first = [], ...others] = sets;
  if (own.length === 0 || first.some((platform) => others.every((set) => set.includes(platform)))) return [];
  const told = own.map(({ name }, index) => `${name} (${sets[index]?.join(', ')})`).join(', ');
  return [
    {
      image: own[0]?.name ?? '',
      text: { en: `the images have no platform in common: ${told}`, zh: `镜像没有共同的平台:${told}` },
    },
  ];
}

/** Throws IMAGE_MISSING (exit 6) naming every shortcoming. */
export function requireComplete(list: readonly Shortcoming[], { version }: Pick<PublishParams, 'version'>): void {
  if (list.length === 0) return;
  fail(
    'IMAGE_MISSING',
    {
      en: `${version} is not complete: ${list.map(({ text }) => text.en).join('; ')}`,
      zh: `${version} 不完整:${list.map(({ text }) => text.zh).join(';')}`,
    },
    {
      hint: {
        en: `nothing was announced; build what is missing with: xingrin publish ${version}`,
        zh: `尚未公布任何内容;用 xingrin publish ${version} 构建缺少的镜像`,
      },
    },
  );
}

/** The images of the release lock, from what the registry holds. */
export function lockedImages(
  { images, repository }: PublishParams,
  found: ReadonlyMap<string, RegistryImage | null>,
): Record<string, LockedImage> {
  return Object.fromEntries(
    images.flatMap(({ name }) => {
      const there = found.get(name) ?? null;
      return there === null ? [] : [[name, { repository, digest: there.digest, platforms: there.platforms }]];
    }),
  );
}

function lacking({ platforms }: ImageParams, there: RegistryImage): string[] {
  if (platforms.length === 0 && Object.keys(there.platforms).length === 0) return ['?'];
  return platforms.filter((platform) => !Object.hasOwn(there.platforms, platform.replace(/^(.*\/arm64)\/v8$/, '$1')));
}

function paramsOf(publication: Publication): PublishParams {
  return { ...publication, images: publication.images.map(imageParams) };
}

function imageParams({ name, dockerfile, context, platforms }: ImageConfig): ImageParams {
  return { name, dockerfile, context, platforms };
}

function step(kind: string, params: PublishParams, title: Text): Step {
  return { kind, title, host: MAIN_HOST, params };
}
