import { parseConfig, type ImageConfig } from '../domain/config.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { fail, UserError } from '../domain/errors.ts';
import { imageName, splitReference } from '../domain/image.ts';
import { lockPath, parseReleaseLock, type ReleaseLock } from '../domain/release-lock.ts';
import { same } from '../domain/text.ts';
import { highest, isPrerelease, isVersion, parseVersion, type Version } from '../domain/version.ts';
import { readText } from '../effects/files.ts';
import { fetchBranch, fetchTag } from '../effects/git-remote.ts';
import { requireGit, withoutCredentials, type Git } from '../effects/git.ts';
import { isUnreachable } from '../effects/registry-transport.ts';
import type { Registry, RegistryImage, RegistryPlace } from '../effects/registry.ts';
import { repositoryOf } from './settings.ts';
import { REMOTE, type Project } from './project.ts';
import { prefixOf, refuseWithoutRemote, requireBranch, versionAt } from './release.ts';

/** What is to be published: settled by the git tag's commit, and by where the images go. */
export interface Publication {
  readonly version: Version;
  /** The commit that the git tag names. */
  readonly commit: string;
  /** When it was made, ISO 8601. */
  readonly created: string;
  /** Where the source is, without credentials; null if the checkout has no remote. */
  readonly source: string | null;
  readonly repository: string;
  readonly images: readonly ImageConfig[];
  /** The project's folder in the repository, with a final slash, or empty. */
  readonly prefix: string;
  readonly mainBranch: string;
}

/** What the main branch says of releases. */
export interface MainFacts {
  readonly commit: string;
  readonly version: Version | null;
  /** The lock of the version in question, if it is published. */
  readonly lock: ReleaseLock | null;
  /** The highest stable version that has a lock. */
  readonly highestStable: Version | null;
}

export interface PublishFacts {
  readonly publication: Publication;
  /** By image: what the registry holds under the version, and under `latest`. */
  readonly images: ReadonlyMap<string, RegistryImage | null>;
  readonly latest: ReadonlyMap<string, string | null>;
  /** Null where only one image is asked for. */
  readonly main: MainFacts | null;
  /** The checkout is on the main branch, clean, and has nothing of its own: it can follow. */
  readonly canFollow: boolean;
}

/**
 * The version to publish: named, or the one whose git tag CI runs for, or the one git tag at HEAD. Throws USAGE or BAD_INPUT
 * (exit 2) where that is not one.
 */
export async function versionToPublish(git: Git, argument: Version | undefined): Promise<Version> {
  if (argument !== undefined) return argument;
  const { GITHUB_REF_TYPE, GITHUB_REF_NAME } = process.env;
  if (GITHUB_REF_TYPE === 'tag' && GITHUB_REF_NAME) return parseVersion(GITHUB_REF_NAME, 'GITHUB_REF_NAME');
  const here = (await git.tagsAt('HEAD')).filter(isVersion);
  const [only, other] = here;
  if (only !== undefined && other === undefined) return only;
  const newest = highest((await git.tags()).filter(isVersion));
  const usage = newest === null ? 'xingrin release' : `xingrin publish ${other === undefined ? newest : only}`;
  return fail(
    'USAGE',
    only === undefined
      ? { en: 'which version? HEAD has no git tag that is one', zh: '要发布哪个版本?HEAD 上没有版本标签' }
      : {
          en: `which version? HEAD has more than one git tag that is one: ${here.join(', ')}`,
          zh: `要发布哪个版本?HEAD 上有多个版本标签:${here.join('、')}`,
        },
    { hint: { en: `name it: ${usage}`, zh: `请指定版本:${usage}` } },
  );
}

/**
 * Reads the git tag and the configuration of its commit. With `remote` the tag must be there as well as here, at the same
 * commit. Throws PRECONDITION (exit 6), UNREACHABLE (exit 4), BAD_CONFIG (exit 2).
 */
export async function observePublication(project: Project, version: Version, remote: boolean): Promise<Publication> {
  const git = requireGit(project.git, project.root);
  const commit = await taggedCommit(git, version, remote);
  const prefix = await prefixOf(git);
  const config = parseConfig(await git.fileAt(commit, `${prefix}xingrin.yaml`), `xingrin.yaml (${version})`);
  const envText = await readText(project.envFile);
  const env = envText === null ? null : parseEnvFile(envText, project.envFile);
  const address = await git.remoteUrl(REMOTE);
  return {
    version,
    commit,
    created: await git.run(['show', '--no-patch', '--format=%cI', commit]),
    source: address === null ? null : sourceOf(address),
    repository: repositoryOf({ ...project, config }, env),
    images: config.images,
    prefix,
    mainBranch: project.config.mainBranch,
  };
}

/** The commit of a git tag, here and (with `remote`) at the remote; a tag that only the remote has is brought here. */
async function taggedCommit(git: Git, version: Version, remote: boolean): Promise<string> {
  const ref = `refs/tags/${version}`;
  const here = await git.commitOf(ref);
  if (here !== null && !remote) return here;
  if ((await git.remoteUrl(REMOTE)) === null) refuseWithoutRemote();
  const refs = await git.remoteRefs(REMOTE, `${ref}*`);
  // CI checkouts hold an annotated tag as a plain one, so that only the commits can be compared.
  const there = refs.get(`${ref}^{}`) ?? refs.get(ref);
  if (there === undefined) {
    return fail(
      'PRECONDITION',
      here === null
        ? {
            en: `there is no git tag ${version}, neither here nor at origin`,
            zh: `本地和 origin 都没有 git 标签 ${version}`,
          }
        : { en: `the git tag ${version} is not at origin`, zh: `origin 上没有 git 标签 ${version}` },
      { hint: same(here === null ? `xingrin release ${version}` : `git push origin ${version}`) },
    );
  }
  if (here === null) {
    await fetchTag(git, REMOTE, version);
    return git.run(['rev-parse', '--verify', `${ref}^{commit}`]);
  }
  if (here !== there) {
    fail(
      'PRECONDITION',
      {
        en: `the git tag ${version} is ${here.slice(0, 10)} here and ${there.slice(0, 10)} at origin`,
        zh: `git 标签 ${version} 在本地指向 ${here.slice(0, 10)},在 origin 指向 ${there.slice(0, 10)}`,
      },
      { hint: same(`git fetch origin refs/tags/${version}:refs/tags/${version} --force`) },
    );
  }
  return here;
}

/** Reads everything a plan to publish depends on. `only`: one image, and nothing of the main branch. */
export async function observePublish(
  project: Project,
  registry: Registry,
  publication: Publication,
  only: string | null,
): Promise<PublishFacts> {
  const git = requireGit(project.git, project.root);
  const wanted = publication.images.filter(({ name }) => only === null || name === only);
  const main = only === null ? await observeMain(git, publication, await fetchMain(git, publication)) : null;
  const images = await observeImages(registry, publication, wanted);
  const latest = main === null || isPrerelease(publication.version) ? [] : wanted;
  return {
    publication,
    images,
    main,
    latest: new Map(
      await Promise.all(
        latest.map(async ({ name }): Promise<[string, string | null]> => {
          const { place } = placeOf(publication.repository, name, 'latest');
          return [name, (await registry.manifest(place, 'latest'))?.digest ?? null];
        }),
      ),
    ),
    canFollow: main !== null && (await canFollow(git, publication, main.commit)),
  };
}

/** What the registry holds of a version. Throws PRECONDITION (exit 6) where it does not answer, AUTHENTICATION (exit 4). */
export async function observeImages(
  registry: Registry,
  { repository, version }: Pick<Publication, 'repository' | 'version'>,
  images: readonly ImageConfig[],
): Promise<Map<string, RegistryImage | null>> {
  try {
    return new Map(
      await Promise.all(
        images.map(async ({ name }): Promise<[string, RegistryImage | null]> => {
          const { place, reference } = placeOf(repository, name, version);
          return [name, await registry.image(place, reference)];
        }),
      ),
    );
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    throw new UserError('PRECONDITION', error.text, error.details);
  }
}

/** Brings the main branch here and returns its commit. */
export async function fetchMain(git: Git, { mainBranch }: Publication): Promise<string> {
  const ref = `refs/heads/${mainBranch}`;
  requireBranch((await git.remoteRefs(REMOTE, ref)).get(ref), mainBranch);
  return fetchBranch(git, REMOTE, mainBranch);
}

/** What a commit of the main branch says of releases. Throws BAD_INPUT (exit 2) for a VERSION or a lock that is none. */
export async function observeMain(git: Git, publication: Publication, commit: string): Promise<MainFacts> {
  const { version, prefix } = publication;
  const text = await git.fileAt(commit, prefix + lockPath(version));
  const listed = (await git.try(['ls-tree', '--name-only', '-z', `${commit}:${prefix}releases`])) ?? '';
  const locked = listed.split('\0').flatMap((name) => {
    const named = name.replace(/\.json$/, '');
    return name.endsWith('.json') && isVersion(named) && !isPrerelease(named) ? [named] : [];
  });
  return {
    commit,
    version: await versionAt(git, commit, `${prefix}VERSION`),
    lock: text === null ? null : parseReleaseLock(text, lockPath(version)),
    highestStable: highest(locked),
  };
}

/** Where an image is in a registry. */
export function placeOf(
  repository: string,
  image: string,
  tag: string,
): { readonly place: RegistryPlace; readonly reference: string } {
  const { registry, path } = splitReference(imageName(repository, image, tag));
  return { place: { registry, path }, reference: tag };
}

async function canFollow(git: Git, { mainBranch }: Publication, main: string): Promise<boolean> {
  if ((await git.branch()) !== mainBranch || (await git.changedFiles()).length > 0) return false;
  return git.isAncestor('HEAD', main);
}

/** A remote's address as a link to the source: no credentials, no `.git`, `https` in place of SSH. */
export function sourceOf(address: string): string {
  const clean = withoutCredentials(address)
    .replace('://***@', '://')
    .replace(/\.git\/?$/, '');
  const short = /^(?:[^@/]+@)?([\w.-]+):(?!\/\/)(.+)$/.exec(clean);
  if (short !== null) return `https://${short[1]}/${short[2]?.replace(/^\//, '')}`;
  return clean.replace(/^ssh:\/\/([^/:]+)(?::\d+)?\//, 'https://$1/');
}
