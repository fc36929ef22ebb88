import { join } from 'node:path';
import { UserError } from '../domain/errors.ts';
import { writeCommit, writeTag } from '../effects/git-commit.ts';
import { pushObject } from '../effects/git-remote.ts';
import { requireGit, type Git } from '../effects/git.ts';
import { withScratch } from '../effects/scratch.ts';
import { REMOTE, type Project } from '../observe/project.ts';
import type { ReleaseParams } from '../plan/release.ts';
import { publishExecutors } from './publish.ts';
import { executor, type Executors } from './step.ts';

/** How a release and its publishing happen and are taken back. */
export function releaseExecutors(project: Project): Executors {
  const git = (): Git => requireGit(project.git, project.root);
  const commitOf = (params: ReleaseParams): Promise<string> => releaseCommit(project, git(), params);
  return {
    ...publishExecutors(project),

    /** Objects that nothing points to are nobody's business: there is nothing to take back. */
    'release-commit': executor<ReleaseParams>({
      async apply(params) {
        await commitOf(params);
        return 'done';
      },
    }),

    'release-tag': executor<ReleaseParams>({
      async apply(params) {
        const commit = await commitOf(params);
        if ((await git().commitOf(tagRef(params))) === commit) return 'unchanged';
        await writeTag(git(), params.version, commit, params.author, params.date);
        return 'done';
      },
      async undo(params) {
        if ((await git().commitOf(tagRef(params))) !== (await commitOf(params))) return;
        await git().run(['tag', '--delete', params.version]);
      },
    }),

    /**
     * The point of no return: once the remote has the tag, others may have begun to build from it. So it is never deleted there;
     * what was begun and not seen to end is decided by what the remote has.
     */
    'release-push': executor<ReleaseParams>({
      commits: true,
      async apply(params) {
        const object = await git().run(['rev-parse', '--verify', tagRef(params)]);
        const outcome = await pushObject(git(), REMOTE, object, tagRef(params));
        if (!outcome.pushed) throw refusedPush(params.version, outcome.words);
        return 'done';
      },
      async reached(params) {
        const there = (await git().remoteRefs(REMOTE, tagRef(params))).get(tagRef(params));
        return there !== undefined && there === (await git().try(['rev-parse', '--verify', tagRef(params)]));
      },
    }),
  };
}

/** The commit that a release is: the same parameters give the same commit, however often it is made. */
export function releaseCommit(project: Project, git: Git, params: ReleaseParams): Promise<string> {
  const { version, base, versionPath, author, date } = params;
  return withScratch(join(project.state, 'tmp'), (scratch) =>
    writeCommit(git, scratch, {
      base,
      files: { [versionPath]: `${version}\n` },
      parents: [base],
      message: `Release ${version}`,
      author,
      date,
    }),
  );
}

function tagRef({ version }: ReleaseParams): string {
  return `refs/tags/${version}`;
}

function refusedPush(version: string, words: string): UserError {
  return new UserError(
    'FAILED',
    { en: `the remote did not take the git tag ${version}`, zh: `远端没有接受 git 标签 ${version}` },
    {
      evidence: words,
      hint: {
        en: 'may you push tags there? the release was taken back; mend the cause and run it again',
        zh: '请确认是否有推送标签的权限;本次发布已撤销,排除原因后可重新执行',
      },
    },
  );
}
