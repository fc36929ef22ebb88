import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { ImageBuild } from '../argv/build.ts';
import { fail, UserError } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { formatReleaseLock, lockPath, type ReleaseLock } from '../domain/release-lock.ts';
import { compareVersions, isPrerelease } from '../domain/version.ts';
import { bakeAndPush, buildAndPush, definitionIn } from '../effects/builder.ts';
import { remove } from '../effects/files.ts';
import { authorOf, exportTree, writeCommit } from '../effects/git-commit.ts';
import { pushObject } from '../effects/git-remote.ts';
import { requireGit, type Git } from '../effects/git.ts';
import { Registry } from '../effects/registry.ts';
import { scratchFolder, withScratch } from '../effects/scratch.ts';
import { fetchMain, observeImages, observeMain, placeOf, type MainFacts } from '../observe/publish.ts';
import { REMOTE, type Project } from '../observe/project.ts';
import { lockedImages, requireComplete, shortcomings, type ImageParams, type PublishParams } from '../plan/publish.ts';
import { executor, type Executors, type StepContext } from './step.ts';

type Outcome = 'done' | 'unchanged';

/** How often a push that lost a race with another release is tried again. */
const ATTEMPTS = 10;

/** How publishing happens. Nothing of it is undone: until the commit on the main branch nothing has been announced. */
export function publishExecutors(project: Project): Executors {
  const git = (): Git => requireGit(project.git, project.root);
  const registry = new Registry();
  const trees = new SharedTree(project, git);

  return {
    'publish-build': executor<PublishParams>({
      apply: (params, context) =>
        resumable(params, () =>
          trees.within(params, async (folder) => {
            const total = params.images.length;
            const builds = params.images.map((image) => buildOf(params, image));
            await bakeAndPush(builds, definitionIn(folder), {
              tree: join(folder, 'tree'),
              signal: context.signal,
              report: (done, detail) => context.report({ done, total, unit: 'count', detail }),
            });
            return 'done';
          }),
        ),
    }),

    'publish-build-one': executor<PublishParams>({
      apply: (params, context) =>
        resumable(params, () =>
          trees.within(params, async (folder) => {
            for (const image of params.images) await buildOne(params, image, join(folder, 'tree'), context);
            return 'done';
          }),
        ),
    }),

    'publish-verify': executor<PublishParams>({
      apply: (params) =>
        resumable(params, async () => {
          requireComplete(shortcomings(params, await observeImages(registry, params, params.images)), params);
          return 'done';
        }),
    }),

    /** The point of no return: with this commit on the main branch the release is public. */
    'publish-finalize': executor<PublishParams>({
      commits: true,
      apply: (params, context) => resumable(params, () => announce(project, git(), registry, params, context)),
      async reached(params) {
        const { lock } = await observeMain(git(), params, await fetchMain(git(), params));
        return lock !== null && lock.commit === params.commit;
      },
    }),

    'publish-latest': executor<PublishParams>({
      apply: (params, context) => moveLatest(git(), registry, params, context),
    }),

    'publish-follow': executor<PublishParams>({
      async apply(params) {
        const main = `refs/remotes/${REMOTE}/${params.mainBranch}`;
        if ((await git().commitOf('HEAD')) === (await git().commitOf(main))) return 'unchanged';
        // A convenience: whoever has begun to edit meanwhile keeps the checkout as it is.
        const moved = await git().try(['merge', '--ff-only', '--quiet', main]);
        return moved === null ? 'unchanged' : 'done';
      },
    }),
  };
}

async function buildOne(params: PublishParams, image: ImageParams, tree: string, context: StepContext): Promise<void> {
  await buildAndPush(buildOf(params, image), {
    tree,
    signal: context.signal,
    report: (_finished, detail) => context.report({ detail }),
  });
}

function buildOf({ version, commit, created, source, repository }: PublishParams, image: ImageParams): ImageBuild {
  return {
    ...image,
    reference: imageName(repository, image.name, version),
    args: { IMAGE_TAG: version },
    labels: {
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': commit,
      'org.opencontainers.image.created': created,
      ...(source === null ? {} : { 'org.opencontainers.image.source': source }),
    },
  };
}

/** Adds to a failure what to type next, if nobody has said anything better. */
async function resumable({ version }: PublishParams, work: () => Promise<Outcome>): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError) || error.details.hint !== undefined) throw error;
    const hint = {
      en: `nothing was announced, and what was pushed is kept: go on with: xingrin publish ${version}`,
      zh: `尚未公布任何内容,已推送的镜像会保留;继续请执行:xingrin publish ${version}`,
    };
    throw error.withHint(hint);
  }
}

/** The exported tree of a commit, shared by the steps that are at it at the same time. */
class SharedTree {
  readonly #project: Project;
  readonly #git: () => Git;
  #folder: Promise<string> | null = null;
  #users = 0;

  constructor(project: Project, git: () => Git) {
    this.#project = project;
    this.#git = git;
  }

  /** Runs `work` with a folder in which `tree` is the project at that commit; the last one out removes it. */
  async within(params: PublishParams, work: (folder: string) => Promise<Outcome>): Promise<Outcome> {
    this.#users += 1;
    this.#folder ??= this.#export(params);
    const folder = this.#folder;
    try {
      return await work(await folder);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) {
        this.#folder = null;
        await remove(await folder.catch(() => ''));
      }
    }
  }

  async #export({ commit, prefix }: PublishParams): Promise<string> {
    const folder = await scratchFolder(join(this.#project.state, 'tmp'));
    await exportTree(this.#git(), prefix === '' ? commit : `${commit}:${prefix}`, join(folder, 'tree'));
    return folder;
  }
}

/**
 * Writes the release lock and, if it is the highest stable version, VERSION to the main branch in one commit and pushes it. Goes
 * round again where another release was faster, so that both locks end there and the higher version stays.
 */
async function announce(
  project: Project,
  git: Git,
  registry: Registry,
  params: PublishParams,
  context: StepContext,
): Promise<Outcome> {
  const found = await observeImages(registry, params, params.images);
  requireComplete(shortcomings(params, found), params);
  const lock: ReleaseLock = { ...params, images: lockedImages(params, found) };
  const text = formatReleaseLock({ version: lock.version, commit: lock.commit, images: lock.images });
  let words = '';
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const main = await observeMain(git, params, await fetchMain(git, params));
    const files = filesToWrite(params, main, text);
    if (Object.keys(files).length === 0) return attempt === 1 ? 'unchanged' : 'done';
    const commit = await withScratch(join(project.state, 'tmp'), async (scratch) =>
      writeCommit(git, scratch, {
        base: main.commit,
        files,
        parents: await parentsOf(git, params, main.commit),
        message: `Publish ${params.version}`,
        author: await authorOf(git),
        date: Math.floor(Date.now() / 1000),
      }),
    );
    const outcome = await pushObject(git, REMOTE, commit, `refs/heads/${params.mainBranch}`);
    if (outcome.pushed) return 'done';
    words = outcome.words;
    if ((await fetchMain(git, params)) === main.commit) refusePush(params, words);
    context.report({ detail: `${params.mainBranch} has moved meanwhile (${attempt})` });
    await pause(50 + Math.random() * 150 * attempt);
  }
  return refusePush(params, words);
}

/** By path: what the main branch must hold and does not. Throws DIGEST_DIFFERS (exit 6) where it holds another lock. */
function filesToWrite(params: PublishParams, main: MainFacts, lock: string): Record<string, string> {
  const { version, prefix } = params;
  if (main.lock !== null && formatReleaseLock(main.lock) !== lock) {
    fail('DIGEST_DIFFERS', {
      en: `${lockPath(version)} on ${params.mainBranch} names other images than the registry holds`,
      zh: `${params.mainBranch} 上的 ${lockPath(version)} 与镜像仓库中的镜像不一致`,
    });
  }
  const moves = !isPrerelease(version) && (main.version === null || compareVersions(version, main.version) > 0);
  return {
    ...(main.lock === null ? { [prefix + lockPath(version)]: lock } : {}),
    ...(moves ? { [`${prefix}VERSION`]: `${version}\n` } : {}),
  };
}

/**
 * The parents of the commit that announces: the release commit becomes part of the main branch, since all it changes is VERSION.
 * A git tag that was made by hand stays where it is: announcing must not merge what nobody merged.
 */
async function parentsOf(git: Git, { version, commit, prefix }: PublishParams, main: string): Promise<string[]> {
  if (isPrerelease(version) || (await git.isAncestor(commit, main))) return [main];
  const [parent, ...others] = (await git.run(['rev-list', '--parents', '--max-count=1', commit])).split(' ').slice(1);
  if (parent === undefined || others.length > 0 || !(await git.isAncestor(parent, main))) return [main];
  const changed = await git.run(['diff-tree', '-r', '--no-commit-id', '--name-only', commit]);
  if (changed !== `${prefix}VERSION`) return [main];
  return (await git.isAncestor(main, commit)) ? [commit] : [main, commit];
}

/**
 * Makes `latest` what the highest stable version on the main branch is. Looks again after each move: of two releases that end at
 * once, the one that moves last sees the other's lock.
 */
async function moveLatest(git: Git, registry: Registry, params: PublishParams, context: StepContext): Promise<Outcome> {
  let moved = false;
  for (let before: string | null = null; ;) {
    const main = await observeMain(git, params, await fetchMain(git, params));
    const top = main.highestStable;
    if (top === null || top === before) return moved ? 'done' : 'unchanged';
    const { lock } = await observeMain(git, { ...params, version: top }, main.commit);
    const images = Object.entries(lock?.images ?? {});
    let done = 0;
    await Promise.all(
      images.map(async ([name, { repository, digest }]) => {
        const { place } = placeOf(repository, name, 'latest');
        const wanted = await registry.manifest(place, digest);
        if (wanted === null) {
          fail('IMAGE_MISSING', {
            en: `${repository}/${name}@${digest} is not in the registry`,
            zh: `镜像仓库中没有 ${repository}/${name}@${digest}`,
          });
        }
        if ((await registry.manifest(place, 'latest'))?.digest !== digest) {
          await registry.putManifest(place, 'latest', wanted);
          moved = true;
        }
        done += 1;
        context.report({ done, total: images.length, unit: 'count', detail: name });
      }),
    );
    before = top;
  }
}

function refusePush({ version, mainBranch }: PublishParams, words: string): never {
  return fail(
    'FAILED',
    { en: `the remote did not take the commit on ${mainBranch}`, zh: `远端没有接受 ${mainBranch} 上的提交` },
    {
      evidence: words,
      hint: {
        en: `is ${mainBranch} protected? allow this push, then: xingrin publish ${version} --finalize`,
        zh: `${mainBranch} 是否受保护?允许该推送后执行:xingrin publish ${version} --finalize`,
      },
    },
  );
}
