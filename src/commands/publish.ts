import { releaseExecutors } from '../apply/release.ts';
import { fail } from '../domain/errors.ts';
import { imageName } from '../domain/image.ts';
import { lockPath } from '../domain/release-lock.ts';
import { isPrerelease, parseVersion, type Version } from '../domain/version.ts';
import { findBuilder } from '../effects/builder.ts';
import { requireEngine } from '../effects/engine.ts';
import { requireGit, type Git } from '../effects/git.ts';
import { Registry } from '../effects/registry.ts';
import { openProject, type Project } from '../observe/project.ts';
import {
  observeImages,
  observePublication,
  observePublish,
  versionToPublish,
  type Publication,
} from '../observe/publish.ts';
import { imagesToBuild, planPublish, requireImage, type Part } from '../plan/publish.ts';
import { perform, type Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';

export interface PublishOptions {
  readonly version?: string;
  readonly image?: string;
  readonly finalize?: boolean;
}

/** Builds, pushes and verifies a version's images, and only then announces it. */
export async function publishCommand(session: Session, options: PublishOptions): Promise<Report> {
  const part = partOf(options);
  const named =
    options.version === undefined ? undefined : parseVersion(options.version, { en: 'version', zh: '版本' });
  const project = await openProject(session.globals.project);
  return perform(session, project, 'publish', async () => {
    const git = requireGit(project.git, project.root);
    return proposePublish(session, project, git, await versionToPublish(git, named), part);
  });
}

function partOf({ image, finalize }: PublishOptions): Part {
  if (image === undefined) return finalize === true ? 'finalize' : 'all';
  if (finalize !== true) return { image };
  return fail(
    'USAGE',
    { en: '--image and --finalize exclude each other', zh: '--image 和 --finalize 不能同时使用' },
    {
      hint: {
        en: 'each image first, then --finalize; or neither, to do all of it here',
        zh: '先逐个发布镜像,再 --finalize;或都不加,在本机完成全部',
      },
    },
  );
}

async function proposePublish(
  session: Session,
  project: Project,
  git: Git,
  version: Version,
  part: Part,
): Promise<Proposal> {
  const publication = await observePublication(project, version, typeof part === 'string');
  if (typeof part === 'object') requireImage(part.image, publication.images);
  const registry = new Registry();
  const facts = await observePublish(project, registry, publication, typeof part === 'object' ? part.image : null);
  const missing = part === 'finalize' ? [] : imagesToBuild(facts);
  if (missing.length > 0) await requireEngine();
  const builder = missing.length > 0 ? await findBuilder() : 'bake';
  requireMultiPlatform(builder, missing);
  return {
    plan: planPublish(facts, part, missing, builder),
    executors: releaseExecutors(project),
    report: (statuses) => reportPublished(session, git, publication, part, statuses.length),
  };
}

function requireMultiPlatform(
  builder: string,
  missing: readonly { name: string; platforms: readonly string[] }[],
): void {
  const wide = missing.find(({ platforms }) => platforms.length > 1);
  if (builder === 'bake' || wide === undefined) return;
  fail(
    'ENGINE_MISSING',
    {
      en: `${wide.name} is wanted for ${wide.platforms.join(' and ')}: that takes buildx, which is not installed`,
      zh: `${wide.name} 需要 ${wide.platforms.join('、')} 多个平台:必须使用 buildx,但未安装`,
    },
    { hint: { en: 'install the Docker plugin buildx', zh: '请安装 Docker 插件 buildx' } },
  );
}

/**
 * Refuses (exit 6, or 4 for a registry that wants a login) where publishing a version that is yet to be tagged could not begin,
 * so that `release --publish` fails before anything is pushed.
 */
export async function requirePublishable(project: Project, version: Version, repository: string): Promise<void> {
  const { images } = project.config;
  await requireEngine();
  const found = await observeImages(new Registry(), { repository, version }, images);
  const taken = images.find(({ name }) => (found.get(name) ?? null) !== null);
  if (taken === undefined) return;
  const reference = imageName(repository, taken.name, version);
  fail(
    'PRECONDITION',
    { en: `${reference} is in the registry already`, zh: `${reference} 已存在于镜像仓库` },
    { hint: { en: 'release a higher version', zh: '请发布更高的版本' } },
  );
}

/** Reads the registry again and says what is true now. */
async function reportPublished(
  session: Session,
  git: Git,
  publication: Publication,
  part: Part,
  steps: number,
): Promise<Report> {
  const { version, repository, commit } = publication;
  const wanted = publication.images.filter(({ name }) => typeof part === 'string' || name === part.image);
  const found = await observeImages(new Registry(), publication, wanted);
  const images = wanted.map(({ name }) => ({
    image: name,
    reference: imageName(repository, name, version),
    digest: found.get(name)?.digest ?? null,
    platforms: Object.keys(found.get(name)?.platforms ?? {}),
  }));
  return { data: { version, commit, images }, text: textOf(session, publication, part, steps === 0) };
}

function textOf({ terminal, paint }: Session, publication: Publication, part: Part, nothing: boolean): string {
  const { version, mainBranch, images } = publication;
  const say = (en: string, zh: string): string => terminal.text({ en, zh });
  const done = paint.good('✓');
  const next = paint.command(say('next', '下一步'));
  if (typeof part === 'object') {
    const line = nothing
      ? say(`${part.image} ${version} is in the registry already`, `${part.image} ${version} 已在镜像仓库中`)
      : say(`${part.image} ${version} is in the registry`, `${part.image} ${version} 已推送到镜像仓库`);
    const then = say('when all images are there', '所有镜像就绪后');
    return `${done} ${line}\n${next}  xingrin publish ${version} --finalize  ${paint.dim(then)}`;
  }
  const lock = lockPath(version);
  const line = nothing
    ? say(`${version} is published already; nothing to do`, `${version} 已发布,无需任何操作`)
    : say(
        `${version} is published: ${images.length} images, and ${lock} on ${mainBranch}`,
        `${version} 已发布:${images.length} 个镜像,${mainBranch} 上已有 ${lock}`,
      );
  const install = isPrerelease(version) ? `xingrin install --version ${version}` : 'xingrin update';
  const where = isPrerelease(version)
    ? say('on a test server; VERSION and latest stay as they are', '在测试服务器上执行;VERSION 和 latest 保持不变')
    : say('on the main server', '在主服务器上执行');
  return `${done} ${line}\n${next}  ${install}  ${paint.dim(where)}`;
}
