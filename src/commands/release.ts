import { setTimeout as pause } from 'node:timers/promises';
import { releaseExecutors } from '../apply/release.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { fail, UserError } from '../domain/errors.ts';
import { lockPath } from '../domain/release-lock.ts';
import { parseVersion, type Version } from '../domain/version.ts';
import { readText } from '../effects/files.ts';
import { fetchBranch } from '../effects/git-remote.ts';
import { requireGit, type Git } from '../effects/git.ts';
import { repositoryOf } from '../observe/settings.ts';
import { openProject, REMOTE, type Project } from '../observe/project.ts';
import { observeCheckout, observeRelease, prefixOf } from '../observe/release.ts';
import type { Json } from '../plan/plan.ts';
import { planRelease, requireReleasable, wantedRelease, type Wanted } from '../plan/release.ts';
import { perform, type Proposal } from './perform.ts';
import { publishCommand, requirePublishable } from './publish.ts';
import type { Report, Session } from './session.ts';

export interface ReleaseOptions {
  readonly version?: string;
  readonly publish?: boolean;
  readonly wait?: boolean;
}

/** Milliseconds between two looks at the remote, and how long CI is given. */
const LOOK = 3_000;
const WAIT_LIMIT = 60 * 60_000;

/** Tags a commit that holds the new VERSION and pushes the tag; with `publish` or `wait`, sees it through. */
export async function releaseCommand(session: Session, options: ReleaseOptions): Promise<Report> {
  const wanted = wantedRelease(options.version);
  if (options.publish === true && options.wait === true) refuseBoth();
  const project = await openProject(session.globals.project);
  const released = await perform(session, project, 'release', () => proposeRelease(session, project, wanted, options));
  if (session.globals.dryRun) return released;
  const version = parseVersion(String(released.data['version']), 'version');
  if (options.publish === true) return publishToo(session, version, released);
  if (options.wait === true) return waitForPublishing(session, project, version, released);
  return released;
}

function refuseBoth(): never {
  return fail(
    'USAGE',
    { en: '--publish and --wait exclude each other', zh: '--publish 和 --wait 不能同时使用' },
    {
      hint: {
        en: '--publish does it here, --wait watches CI do it',
        zh: '--publish 在本机发布,--wait 等待 CI 发布',
      },
    },
  );
}

async function proposeRelease(
  session: Session,
  project: Project,
  wanted: Wanted,
  options: ReleaseOptions,
): Promise<Proposal> {
  const git = requireGit(project.git, project.root);
  const { mainBranch } = project.config;
  requireReleasable(await observeCheckout(git), mainBranch);
  const facts = await observeRelease(project, git);
  const plan = planRelease(wanted, facts, mainBranch, Math.floor(session.now().getTime() / 1000));
  const version = parseVersion(plan.to ?? '', 'version');
  if (options.publish === true) await requirePublishable(project, version, await repository(project));
  const question = {
    en: `Release ${version} and publish its images from here?`,
    zh: `发布 ${version} 并在本机构建、推送其镜像吗?`,
  };
  return {
    plan,
    executors: releaseExecutors(project),
    ...(options.publish === true ? { question } : {}),
    report: () => reportRelease(session, git, version, facts.released, mainBranch),
  };
}

async function repository(project: Project): Promise<string> {
  const text = await readText(project.envFile);
  return repositoryOf(project, text === null ? null : parseEnvFile(text, project.envFile));
}

async function reportRelease(
  { terminal, paint }: Session,
  git: Git,
  version: Version,
  before: Version | null,
  mainBranch: string,
): Promise<Report> {
  const commit = await git.commitOf(`refs/tags/${version}`);
  const stays = before ?? '∅';
  const done = terminal.text({
    en: `${version} is tagged and pushed; ${mainBranch} stays on ${stays} until it is published`,
    zh: `${version} 已打标签并推送;所有镜像就绪之前,${mainBranch} 仍为 ${stays}`,
  });
  const next = paint.command(terminal.text({ en: 'next', zh: '下一步' }));
  const then = terminal.text({ en: 'unless CI publishes it', zh: '若没有 CI 自动发布' });
  return {
    data: { version, commit },
    text: `${paint.good('✓')} ${done}\n${next}  xingrin publish ${version}  ${paint.dim(then)}`,
  };
}

/** The operator has been asked once, for both. */
async function publishToo(session: Session, version: Version, released: Report): Promise<Report> {
  const agreed: Session = { ...session, globals: { ...session.globals, yes: true } };
  const published = await publishCommand(agreed, { version });
  const steps = [...listOf(released.data['steps']), ...listOf(published.data['steps'])];
  return { ...published, data: { ...published.data, from: released.data['from'] ?? null, steps } };
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** Looks at the remote until its main branch has the release lock. The release itself is safe, whatever happens here. */
async function waitForPublishing(
  session: Session,
  project: Project,
  version: Version,
  released: Report,
): Promise<Report> {
  const git = requireGit(project.git, project.root);
  const { mainBranch } = project.config;
  const { terminal, paint } = session;
  const lock = (await prefixOf(git)) + lockPath(version);
  const began = session.now().getTime();
  const says = { en: `waiting until CI has published ${version} …`, zh: `等待 CI 发布 ${version} …` };
  terminal.say(paint.dim(terminal.text(says)));
  for (let seen = ''; ;) {
    if (session.signal.aborted) stopWaiting(session.signal, version);
    const head = (await remoteHead(git, mainBranch)) ?? seen;
    if (head !== seen && (await git.fileAt(await fetchBranch(git, REMOTE, mainBranch), lock)) !== null) break;
    seen = head;
    if (session.now().getTime() - began > WAIT_LIMIT) giveUp(version);
    await pause(LOOK, undefined, { signal: session.signal }).catch(() => {});
  }
  const done = terminal.text({ en: `${version} is published`, zh: `${version} 已发布` });
  const where = terminal.text({ en: 'on the main server', zh: '在主服务器上执行' });
  const next = paint.command(terminal.text({ en: 'next', zh: '下一步' }));
  return { ...released, text: `${paint.good('✓')} ${done}\n${next}  xingrin update  ${paint.dim(where)}` };
}

/** A remote that does not answer for a while is no reason to stop watching. */
async function remoteHead(git: Git, branch: string): Promise<string | null> {
  const ref = `refs/heads/${branch}`;
  try {
    return (await git.remoteRefs(REMOTE, ref)).get(ref) ?? null;
  } catch (error) {
    if (error instanceof UserError && error.code === 'UNREACHABLE') return null;
    throw error;
  }
}

function stopWaiting(signal: AbortSignal, version: Version): never {
  return fail(
    signal.reason === 'SIGTERM' ? 'TERMINATED' : 'INTERRUPTED',
    {
      en: `stopped waiting; ${version} is released, and CI goes on without us`,
      zh: `已停止等待;${version} 已发布标签,CI 会继续`,
    },
    {
      hint: {
        en: `is it published? xingrin publish ${version} --dry-run`,
        zh: `查看是否已发布:xingrin publish ${version} --dry-run`,
      },
    },
  );
}

function giveUp(version: Version): never {
  return fail(
    'FAILED',
    {
      en: `${version} is released, but was not published within an hour`,
      zh: `${version} 已发布标签,但一小时内仍未发布镜像`,
    },
    {
      hint: {
        en: `look at the CI run, or publish it here: xingrin publish ${version}`,
        zh: `请查看 CI 运行情况,或在本机发布:xingrin publish ${version}`,
      },
    },
  );
}
