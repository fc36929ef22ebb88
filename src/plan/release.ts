import { fail } from '../domain/errors.ts';
import { quoted } from '../domain/quote.ts';
import { nearest } from '../domain/suggest.ts';
import { same, type Text } from '../domain/text.ts';
import { bump, compareVersions, highest, parseVersion, type Bump, type Version } from '../domain/version.ts';
import type { CheckoutFacts, ReleaseFacts } from '../observe/release.ts';
import { makePlan, MAIN_HOST, type Plan } from './plan.ts';

/** What `release` was asked for: a version, or the next one of a kind. */
export type Wanted = { readonly version: Version } | { readonly bump: Bump };

/** What every step of a release is told; the commit follows from it alone. */
export type ReleaseParams = {
  readonly version: string;
  readonly base: string;
  readonly versionPath: string;
  readonly author: { readonly name: string; readonly email: string };
  /** Seconds since 1970. */
  readonly date: number;
};

const BUMPS: readonly Bump[] = ['major', 'minor', 'patch', 'dev'];

/** Reads the argument of `release`; without one, the next patch version. Throws BAD_INPUT (exit 2). */
export function wantedRelease(argument: string | undefined): Wanted {
  if (argument === undefined) return { bump: 'patch' };
  const kind = BUMPS.find((each) => each === argument);
  if (kind !== undefined) return { bump: kind };
  const meant = /^[a-z]+$/i.test(argument) ? nearest(argument, BUMPS) : null;
  if (meant === null) return { version: parseVersion(argument, { en: 'version', zh: '版本' }) };
  return fail(
    'BAD_INPUT',
    {
      en: `${quoted(argument)} is neither a version nor one of ${BUMPS.join(', ')}`,
      zh: `${quoted(argument)} 既不是版本号,也不是 ${BUMPS.join('、')} 之一`,
    },
    { hint: { en: `did you mean ${meant}?`, zh: `是否想输入 ${meant}?` } },
  );
}

/** Refuses a checkout from which nothing can be released (exit 6). */
export function requireReleasable(checkout: CheckoutFacts, mainBranch: string): void {
  const { hasRemote, shallow, branch, head, changed } = checkout;
  if (!hasRemote) {
    refuse(
      { en: 'there is no git remote "origin" to release to', zh: '没有可供发布的 git 远端 "origin"' },
      same('git remote add origin …'),
    );
  }
  if (head === null) {
    refuse(
      { en: 'the repository has no commit yet', zh: '仓库中还没有任何提交' },
      same(`git add --all && git commit && git push --set-upstream origin ${mainBranch}`),
    );
  }
  if (shallow) {
    refuse(
      { en: 'this is a shallow clone: earlier versions cannot be seen', zh: '这是浅克隆,无法看到之前的版本' },
      same('git fetch --unshallow --tags'),
    );
  }
  if (branch === null) {
    refuse(
      { en: `HEAD is detached; releases are made on ${mainBranch}`, zh: `HEAD 处于游离状态;发布需在 ${mainBranch} 上` },
      same(`git switch ${mainBranch}`),
    );
  }
  if (branch !== mainBranch) {
    refuse(
      {
        en: `this is the branch ${branch}; releases are made on ${mainBranch}`,
        zh: `当前分支为 ${branch};发布需在 ${mainBranch} 上`,
      },
      {
        en: `git switch ${mainBranch}, or set mainBranch in xingrin.yaml`,
        zh: `git switch ${mainBranch},或在 xingrin.yaml 中设置 mainBranch`,
      },
    );
  }
  if (changed.length > 0) {
    fail(
      'DIRTY_TREE',
      {
        en: `${count(changed.length, 'tracked file')} with changes that are not committed`,
        zh: `有 ${changed.length} 个已跟踪文件尚未提交更改`,
      },
      { hint: { en: 'git commit, or git stash', zh: '请先 git commit 或 git stash' }, evidence: shortList(changed) },
    );
  }
}

/** Decides the version and the steps. Throws PRECONDITION (exit 6) where the release must not be. */
export function planRelease(wanted: Wanted, facts: ReleaseFacts, mainBranch: string, date: number): Plan {
  requireInStep(facts, mainBranch);
  const { base, released, tagsHere, tagsThere, versionPath, author } = facts;
  const earlier = [...new Set([...tagsHere, ...tagsThere, ...(released === null ? [] : [released])])];
  const last = highest(earlier);
  const version = 'version' in wanted ? wanted.version : nextVersion(last, wanted.bump, earlier);
  requireFree(version, tagsHere.includes(version), tagsThere.includes(version));
  requireHigher(version, last, released);

  const params: ReleaseParams = { version, base, versionPath, author: { ...author }, date };
  const step = (kind: string, title: Text) => ({ kind, title, host: MAIN_HOST, params });
  return makePlan({
    command: 'release',
    from: released,
    to: version,
    commit: base,
    steps: [
      step('release-commit', {
        en: `make a commit on top of ${mainBranch} in which VERSION is ${version}`,
        zh: `在 ${mainBranch} 之上生成一个 VERSION 为 ${version} 的提交`,
      }),
      step('release-tag', { en: `give it the git tag ${version}`, zh: `为其打上 git 标签 ${version}` }),
      step('release-push', {
        en: `push that tag alone; ${mainBranch} stays as it is`,
        zh: `只推送该标签;${mainBranch} 保持不变`,
      }),
    ],
  });
}

function nextVersion(last: Version | null, kind: Bump, earlier: readonly Version[]): Version {
  return bump(last ?? parseVersion('v0.0.0', 'VERSION'), kind, earlier);
}

function requireInStep({ ahead, behind }: ReleaseFacts, branch: string): void {
  if (ahead > 0 && behind > 0) {
    refuse(
      {
        en: `${branch} and origin/${branch} have diverged: ${count(ahead, 'commit')} only here, ${behind} only there`,
        zh: `${branch} 与 origin/${branch} 已分叉:本地多 ${ahead} 个提交,远端多 ${behind} 个提交`,
      },
      same('git pull --rebase && git push'),
    );
  }
  if (behind > 0) {
    refuse(
      {
        en: `${branch} is ${count(behind, 'commit')} behind origin/${branch}`,
        zh: `${branch} 落后 origin/${branch} ${behind} 个提交`,
      },
      same('git pull --ff-only'),
    );
  }
  if (ahead > 0) {
    refuse(
      {
        en: `${branch} has ${count(ahead, 'commit')} that origin/${branch} has not`,
        zh: `${branch} 有 ${ahead} 个提交尚未推送到 origin/${branch}`,
      },
      same('git push'),
    );
  }
}

function requireFree(version: Version, here: boolean, there: boolean): void {
  if (there) {
    refuse(
      {
        en: `the git tag ${version} exists already at origin${here ? ' and here' : ''}`,
        zh: `git 标签 ${version} 已存在于 origin${here ? ' 和本地' : ''}`,
      },
      {
        en: `release a higher version, or go on with publishing it: xingrin publish ${version}`,
        zh: `请发布更高的版本,或继续发布其镜像:xingrin publish ${version}`,
      },
    );
  }
  if (here) {
    refuse(
      { en: `the git tag ${version} exists already here`, zh: `本地已存在 git 标签 ${version}` },
      {
        en: `push it with: git push origin ${version}, or remove it with: git tag --delete ${version}`,
        zh: `用 git push origin ${version} 推送它,或用 git tag --delete ${version} 删除它`,
      },
    );
  }
}

function requireHigher(version: Version, last: Version | null, released: Version | null): void {
  if (last === null || compareVersions(version, last) > 0) return;
  const where: Text =
    last === released
      ? { en: 'which VERSION holds', zh: 'VERSION 中的版本' }
      : { en: 'which is a git tag', zh: '已有的 git 标签' };
  refuse(
    { en: `${version} is not higher than ${last}, ${where.en}`, zh: `${version} 不高于 ${last}(${where.zh})` },
    {
      en: `name a higher one, or let it be chosen: xingrin release ${BUMPS.join('|')}`,
      zh: `请指定更高的版本,或自动选择:xingrin release ${BUMPS.join('|')}`,
    },
  );
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 10);
  return [...shown, ...(names.length > shown.length ? ['…'] : [])].join('\n');
}

function refuse(text: Text, hint: Text): never {
  return fail('PRECONDITION', text, { hint });
}
