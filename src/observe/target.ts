import { fail } from '../domain/errors.ts';
import { lockPath, parseReleaseLock, type ReleaseLock } from '../domain/release-lock.ts';
import { compareVersions, isVersion, versionFromFile, type Version } from '../domain/version.ts';
import { type Git, requireGit } from '../effects/git.ts';
import { previousDeployment, readHistory } from './history.ts';
import { readVersion, REMOTE, type Project } from './project.ts';

/** Where a deployment goes: a version, the commit whose files belong to it, and the digests its images must have. */
export interface Target {
  readonly version: Version;
  /** Null: the files stay as they are. */
  readonly commit: string | null;
  /** Null where that release has none; its images cannot be verified then. */
  readonly lock: ReleaseLock | null;
}

/** Where HEAD is, and whether moving it loses anything. */
export interface Checkout {
  readonly commit: string;
  readonly branch: string | null;
}

/**
 * What `update` goes to: the named version, or the one that the remote's main branch says is released. Talks to the remote.
 * Throws UNREACHABLE (4) if that does not answer, PRECONDITION (6) if there is no such release.
 */
export async function updateTarget(project: Project, named: Version | undefined): Promise<Target> {
  const git = requireGit(project.git, project.root);
  await requireRemote(git);
  await git.fetch(REMOTE);
  const main = await requireMain(git, project);
  if (named !== undefined) return releaseTarget(git, named, main);
  const text = await git.fileAt(main, 'VERSION');
  if (text === null) {
    return fail(
      'PRECONDITION',
      {
        en: `${REMOTE}/${project.config.mainBranch} has no VERSION file`,
        zh: `${REMOTE}/${project.config.mainBranch} 上没有 VERSION 文件`,
      },
      { hint: { en: 'publish a release first: xingrin release', zh: '请先发布版本:xingrin release' } },
    );
  }
  const version = versionFromFile(text, `VERSION (${REMOTE}/${project.config.mainBranch})`);
  return {
    version,
    commit: (await publishingCommit(git, version, main)) ?? main,
    lock: await lockOf(git, version, main),
  };
}

/**
 * What `install` sets up: this checkout, unless a version is named. Refuses (6) a checkout whose git tag and VERSION say
 * different things, because images and files would not belong together. Does not talk to the remote.
 */
export async function installTarget(project: Project, named: Version | undefined): Promise<Target> {
  const version = await readVersion(project);
  const { git } = project;
  if (git === null) {
    const chosen = named ?? version;
    return chosen === null ? refuseWithoutVersion(project) : { version: chosen, commit: null, lock: null };
  }
  const main = (await git.commitOf(`refs/remotes/${REMOTE}/${project.config.mainBranch}`)) ?? 'HEAD';
  const tags = (await git.tagsAt('HEAD')).filter(isVersion);
  const here = named ?? version;
  if (named === undefined && version !== null && tags.length > 0 && !tags.includes(version)) {
    const tag = [...tags].sort(compareVersions).at(-1) ?? '';
    fail(
      'PRECONDITION',
      {
        en: `this checkout is tagged ${tag}, but its VERSION says ${version}`,
        zh: `当前检出的标签是 ${tag},但 VERSION 文件为 ${version}`,
      },
      {
        hint: {
          en: `say which one: xingrin install --version ${tag}   or   xingrin install --version ${version}`,
          zh: `请明确指定:xingrin install --version ${tag} 或 xingrin install --version ${version}`,
        },
      },
    );
  }
  if (here === null) return refuseWithoutVersion(project);
  if (here === version || tags.includes(here))
    return { version: here, commit: null, lock: await lockOf(git, here, main) };
  return releaseTarget(git, here, main);
}

/** What `rollback` goes back to. Needs nothing but this machine. Throws PRECONDITION (6) if there is nothing to go back to. */
export async function rollbackTarget(
  project: Project,
  named: Version | undefined,
  current: string | null,
): Promise<Target> {
  const history = await readHistory(project);
  const deployment =
    named === undefined ? previousDeployment(history, current) : history.findLast(({ version }) => version === named);
  if (deployment == null) {
    const known = [...new Set(history.map(({ version }) => version))];
    return fail(
      'PRECONDITION',
      named === undefined
        ? { en: 'there is no earlier deployment to go back to', zh: '没有可以回退的历史部署' }
        : { en: `${named} was never deployed here`, zh: `${named} 从未在本机部署过` },
      {
        hint:
          known.length === 0
            ? { en: 'xingrin history shows what was deployed', zh: '用 xingrin history 查看部署历史' }
            : {
                en: `deployed here: ${known.join(', ')}; xingrin update ${named ?? 'VERSION'} can bring another`,
                zh: `本机部署过:${known.join('、')};其他版本请用 xingrin update`,
              },
      },
    );
  }
  const { git } = project;
  if (git === null || deployment.commit === null) return { version: deployment.version, commit: null, lock: null };
  if ((await git.commitOf(deployment.commit)) === null) {
    fail(
      'PRECONDITION',
      {
        en: `the commit of ${deployment.version} (${deployment.commit}) is not in this checkout any more`,
        zh: `${deployment.version} 对应的提交(${deployment.commit})已不在本仓库中`,
      },
      { hint: { en: `xingrin update ${deployment.version}`, zh: `xingrin update ${deployment.version}` } },
    );
  }
  const main = (await git.commitOf(`refs/remotes/${REMOTE}/${project.config.mainBranch}`)) ?? deployment.commit;
  const lock =
    (await lockOf(git, deployment.version, deployment.commit)) ?? (await lockOf(git, deployment.version, main));
  return { version: deployment.version, commit: deployment.commit, lock };
}

/** A named release: its lock and commit on the main branch, else the commit of its git tag. */
async function releaseTarget(git: Git, version: Version, main: string): Promise<Target> {
  const published = await publishingCommit(git, version, main);
  if (published !== null) return { version, commit: published, lock: await lockOf(git, version, published) };
  const tagged = await git.commitOf(`refs/tags/${version}`);
  if (tagged !== null) return { version, commit: tagged, lock: null };
  const known = (await git.tags()).filter(isVersion).sort(compareVersions).slice(-5);
  return fail(
    'PRECONDITION',
    { en: `there is no release ${version}`, zh: `没有版本 ${version}` },
    {
      hint:
        known.length === 0
          ? { en: 'git fetch --tags', zh: 'git fetch --tags' }
          : { en: `newest releases: ${known.join(', ')}`, zh: `最近的版本:${known.join('、')}` },
    },
  );
}

/**
 * The commit of the main branch that brought the release lock: the files that belong to those images. Later commits on main
 * belong to the next release.
 */
async function publishingCommit(git: Git, version: Version, main: string): Promise<string | null> {
  const search = ['log', '-1', '--format=%H', '--diff-filter=A', '-m'];
  const path = ['--end-of-options', main, '--', lockPath(version)];
  return (await git.try([...search, '--first-parent', ...path])) || (await git.try([...search, ...path])) || null;
}

async function lockOf(git: Git, version: Version, ref: string): Promise<ReleaseLock | null> {
  for (const place of [ref, 'HEAD']) {
    const text = await git.fileAt(place, lockPath(version));
    if (text !== null) return parseReleaseLock(text, lockPath(version));
  }
  return null;
}

/** Where HEAD is. Throws (6) if moving it away would lose work: changed files, or commits that are nowhere else. */
export async function movableCheckout(project: Project, git: Git): Promise<Checkout> {
  const [commit, branch, changed] = await Promise.all([git.commitOf('HEAD'), git.branch(), git.changedFiles()]);
  if (commit === null)
    return fail('PRECONDITION', { en: 'this checkout has no commit yet', zh: '该仓库还没有任何提交' });
  if (changed.length > 0) {
    const names = changed.slice(0, 5).join('\n') + (changed.length > 5 ? '\n…' : '');
    fail(
      'DIRTY_TREE',
      {
        en: `${changed.length} tracked files were changed by hand`,
        zh: `有 ${changed.length} 个受版本管理的文件被手工修改`,
      },
      {
        evidence: names,
        hint: {
          en: 'keep them with: git stash   or drop them with: git restore .',
          zh: '用 git stash 保留修改,或用 git restore . 放弃修改',
        },
      },
    );
  }
  const elsewhere = await git.run([
    'for-each-ref',
    '--count=1',
    '--format=%(refname)',
    '--contains',
    commit,
    'refs/remotes',
    'refs/tags',
  ]);
  if (elsewhere === '') {
    fail(
      'PRECONDITION',
      {
        en: `this checkout has commits that are not on ${REMOTE}: it has diverged`,
        zh: `本地有 ${REMOTE} 上没有的提交,历史已分叉`,
      },
      {
        hint: {
          en: `publish them, or go back to the remote's state: git reset --hard ${REMOTE}/${project.config.mainBranch}`,
          zh: `请先推送这些提交,或恢复为远端状态:git reset --hard ${REMOTE}/${project.config.mainBranch}`,
        },
      },
    );
  }
  return { commit, branch };
}

async function requireRemote(git: Git): Promise<void> {
  if ((await git.remoteUrl(REMOTE)) !== null) return;
  fail(
    'PRECONDITION',
    { en: `this checkout has no remote "${REMOTE}"`, zh: `该仓库没有远端 "${REMOTE}"` },
    { hint: { en: `git remote add ${REMOTE} URL`, zh: `git remote add ${REMOTE} URL` } },
  );
}

async function requireMain(git: Git, project: Project): Promise<string> {
  const name = `${REMOTE}/${project.config.mainBranch}`;
  return (
    (await git.commitOf(`refs/remotes/${name}`)) ??
    fail(
      'PRECONDITION',
      { en: `the remote has no branch ${project.config.mainBranch}`, zh: `远端没有分支 ${project.config.mainBranch}` },
      { hint: { en: 'set mainBranch in xingrin.yaml', zh: '请在 xingrin.yaml 中设置 mainBranch' } },
    )
  );
}

function refuseWithoutVersion(project: Project): never {
  fail(
    'PRECONDITION',
    { en: `${project.root} has no VERSION file`, zh: `${project.root} 中没有 VERSION 文件` },
    {
      hint: {
        en: 'name the version: xingrin install --version v1.2.3',
        zh: '请指定版本:xingrin install --version v1.2.3',
      },
    },
  );
}
