import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRig, type Rig } from './rig.ts';
import { journalIsClosed, killedAtWrite } from './kill.ts';
import { releaseProject, snapshot, type ReleaseProject } from './release-project.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig([]);
});
afterAll(() => rig.close());

describe('a release', () => {
  test('tags a commit that holds its own VERSION, and moves nothing else', async () => {
    const project = await releaseProject(rig, 'plain');
    const main = await project.git('rev-parse', 'HEAD');
    const result = await project.xingrin(['release', 'v1.0.0', '--yes', '--json']);
    const { data } = JSON.parse(result.stdout) as { data: Record<string, unknown> };
    const tagged = await project.there('rev-parse', 'v1.0.0^{commit}');

    expect(result.exitCode).toBe(0);
    expect(data).toMatchObject({ from: 'v0.0.0', to: 'v1.0.0', version: 'v1.0.0', commit: tagged });
    expect(data['steps']).toHaveLength(3);
    expect(await project.there('show', 'v1.0.0:VERSION')).toBe('v1.0.0');
    expect(await project.there('diff-tree', '-r', '--name-only', 'v1.0.0^', 'v1.0.0')).toBe('VERSION');
    expect(await project.there('rev-parse', 'v1.0.0^')).toBe(main);
    expect(await project.there('cat-file', '-t', 'v1.0.0')).toBe('tag');
    expect(await project.there('rev-parse', 'main')).toBe(main);
    expect(await project.git('rev-parse', 'HEAD')).toBe(main);
    expect(await project.git('status', '--porcelain')).toBe('');
    expect(await readFile(join(project.root, 'VERSION'), 'utf8')).toBe('v0.0.0\n');
    expect(await project.there('log', '-1', '--format=%an <%ae>', 'v1.0.0')).toBe(
      'Release Test <release@example.invalid>',
    );
  });

  test('chooses the next version, and says it in both languages', async () => {
    const project = await releaseProject(rig, 'next');
    await project.xingrin(['release', 'v1.2.3', '--yes']);
    for (const [args, expected] of [
      [['release', '--dry-run'], 'v1.2.4'],
      [['release', 'minor', '--dry-run'], 'v1.3.0'],
      [['release', 'major', '--dry-run'], 'v2.0.0'],
      [['release', 'dev', '--dry-run', '--lang', 'zh'], 'v1.2.4-dev.1'],
    ] as const) {
      expect((await project.xingrin(args)).stdout).toContain(`→ ${expected}`);
    }
    expect((await project.xingrin(['release', '--dry-run', '--lang', 'zh'])).stdout).toContain('只推送该标签');
    expect((await project.xingrin(['release', '--dry-run', '--detailed-exitcode'])).exitCode).toBe(8);
  });

  test("obeys the operator's environment", async () => {
    const project = await releaseProject(rig, 'environment');
    const env = { EDITOR: 'vim', PAGER: 'less', GIT_CONFIG_COUNT: '0', GIT_DIR: '/nowhere', GIT_WORK_TREE: '/nowhere' };
    expect((await project.xingrin(['release', 'v1.0.0', '--yes'], { env })).exitCode).toBe(0);
  });

  test('signs as itself where git knows nobody, and takes no part in the hooks of a commit', async () => {
    const project = await releaseProject(rig, 'nobody');
    for (const hook of ['pre-commit', 'commit-msg', 'post-commit']) {
      await writeFile(join(project.root, '.git', 'hooks', hook), '#!/bin/sh\nexit 1\n');
      await chmod(join(project.root, '.git', 'hooks', hook), 0o755);
    }
    const env = { GIT_CONFIG_GLOBAL: '/dev/null' };
    const result = await project.xingrin(['release', 'v1.0.0', '--yes'], { env });
    expect(result.exitCode).toBe(0);
    expect(await project.there('log', '-1', '--format=%an <%ae>', 'v1.0.0')).toBe('xingrin <xingrin@localhost>');
  });

  test('needs --yes where nobody can be asked', async () => {
    const project = await releaseProject(rig, 'unasked');
    const before = await snapshot(project);
    const result = await project.xingrin(['release', 'v1.0.0']);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('--yes');
    expect(await snapshot(project)).toBe(before);
  });
});

describe('a version that is none', () => {
  const BAD = [
    'v1.2',
    'v01.2.3',
    'v1.2.3+b',
    'v1;touch x',
    '$(id)',
    'latest',
    'v1.2.3\nv2.0.0',
    `v1.2.${'3'.repeat(300)}`,
    '1.2.3',
    'v1.2.3-',
    'v1.2.3 ',
    '../../v1.2.3',
  ];
  test('is refused with exit 2 and the rule; nothing is written, nothing is spawned', async () => {
    const project = await releaseProject(rig, 'bad');
    const before = await snapshot(project);
    for (const version of BAD) {
      for (const command of ['release', 'publish']) {
        // Without programs in reach, whatever is spawned fails otherwise.
        const result = await project.xingrin([command, '--yes', '--', version], { env: { PATH: '/nowhere' } });
        expect([command, version, result.exitCode, result.stdout]).toEqual([command, version, 2, '']);
        expect(result.stderr).toMatch(/is not a version: (it|its numbers) m/);
      }
    }
    expect(await snapshot(project)).toBe(before);
    expect(await rig.must(['find', project.root, '-name', '.xingrin'])).toBe('');
  });

  test('neither is one that looks like a flag', async () => {
    const project = await releaseProject(rig, 'flag');
    expect((await project.xingrin(['release', '-v1.2.3', '--yes'])).exitCode).toBe(2);
    expect((await project.xingrin(['release', '--', '-v1.2.3'])).exitCode).toBe(2);
  });

  test('in VERSION: exit 2 naming file and rule', async () => {
    const project = await releaseProject(rig, 'badfile');
    for (const text of ['v1.2', 'v1.2.3;id\n', 'v1.0.0\nv2.0.0\n', '']) {
      await project.commit({ VERSION: text });
      await project.git('push', '--quiet');
      const result = await project.xingrin(['release', '--yes']);
      expect([text, result.exitCode]).toEqual([text, 2]);
      expect(result.stderr).toContain('VERSION');
    }
    expect(await project.there('tag')).toBe('');
  });
});

describe('a state of git from which nothing is released: exit 6, tree untouched', () => {
  /** Each case brings a fresh project into the state; its text must be in the refusal. */
  const CASES: [string, string, (project: ReleaseProject) => Promise<unknown>][] = [
    ['dirty', '1 tracked file', (project) => writeFile(join(project.root, 'VERSION'), 'edited\n')],
    ['staged', 'docker/one/Dockerfile', (project) => project.git('rm', '--quiet', 'docker/one/Dockerfile')],
    ['detached', 'HEAD is detached', (project) => project.git('switch', '--quiet', '--detach')],
    ['branch', 'this is the branch topic', (project) => project.git('switch', '--quiet', '--create', 'topic')],
    ['noremote', 'no git remote', (project) => project.git('remote', 'remove', 'origin')],
    ['ahead', '1 commit that origin/main has not', (project) => project.commit({ new: 'here\n' })],
    [
      'behind',
      '1 commit behind origin/main',
      async (project) => {
        const other = await project.clone(`behind-other`);
        await other.commit({ new: 'there\n' });
        await other.git('push', '--quiet');
      },
    ],
    [
      'diverged',
      '1 commit only here, 1 only there',
      async (project) => {
        const other = await project.clone(`diverged-other`);
        await other.commit({ new: 'there\n' });
        await other.git('push', '--quiet');
        await project.commit({ new: 'here\n' });
      },
    ],
    ['taghere', 'v1.0.0 exists already here', (project) => project.git('tag', 'v1.0.0')],
    ['tagthere', 'v1.0.0 exists already at origin', (project) => project.there('tag', 'v1.0.0', 'main')],
    ['lower', 'v1.0.0 is not higher than v1.1.0', (project) => project.there('tag', 'v1.1.0', 'main')],
    ['norefs', 'has no branch main', (project) => project.there('branch', '-m', 'main', 'trunk')],
  ];
  test.each(CASES)('%s', async (name, text, arrange) => {
    const project = await releaseProject(rig, name);
    await arrange(project);
    const local = name === 'noremote' ? null : await snapshot(project);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes']);
    expect(`${result.exitCode} ${result.stderr}`).toContain(text);
    expect(result.exitCode).toBe(6);
    if (local !== null) expect(await snapshot(project)).toBe(local);
    expect(result.stderr).toContain('next');
  });

  test('shallow', async () => {
    const project = await releaseProject(rig, 'deep');
    await project.commit({ new: 'more\n' });
    await project.git('push', '--quiet');
    const root = join(rig.folder, 'shallow');
    await rig.must(['git', 'clone', '--quiet', '--depth=1', `file://${project.remote}`, root]);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes'], { cwd: root });
    expect(result.exitCode).toBe(6);
    expect(result.stderr).toContain('git fetch --unshallow');
  });

  test('no git at all', async () => {
    const project = await releaseProject(rig, 'nogit');
    await rig.must(['rm', '-rf', join(project.root, '.git')]);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes']);
    expect(result.exitCode).toBe(6);
    expect(result.stderr).toContain('is not a git checkout');
  });
});

describe('the remote', () => {
  test('is gone: exit 4, nothing was released', async () => {
    const project = await releaseProject(rig, 'gone');
    await rig.must(['mv', project.remote, `${project.remote}.away`]);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes']);
    expect(result.exitCode).toBe(4);
    expect(await project.git('tag')).toBe('');
  });

  test('refuses the tag: the local one is taken back', async () => {
    const project = await releaseProject(rig, 'refusing');
    const hook = join(project.remote, 'hooks', 'update');
    await writeFile(hook, '#!/bin/sh\necho "tags are closed" >&2\nexit 1\n');
    await chmod(hook, 0o755);
    const before = await snapshot(project);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes']);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain('tags are closed');
    expect(await snapshot(project)).toBe(before);
    expect(await journalIsClosed(project)).toBe(true);
  });

  test('takes the tag, but its answer is lost: it is released', async () => {
    const project = await releaseProject(rig, 'lost');
    const wrapper = join(rig.folder, 'receive-and-die');
    await writeFile(wrapper, '#!/bin/sh\ngit receive-pack "$@"\nexit 1\n');
    await chmod(wrapper, 0o755);
    await project.git('config', 'remote.origin.receivepack', wrapper);
    const result = await project.xingrin(['release', 'v1.0.0', '--yes']);
    expect(result.exitCode).toBe(0);
    expect(await project.there('tag')).toBe('v1.0.0');
  });
});

test('kill -9 at every moment: the next run ends it or takes it back, and says so', async () => {
  let interrupted = 0;
  const ends = new Set<string>();
  for (let when = 1; ; when += 1) {
    const project = await releaseProject(rig, `kill${when}`);
    const main = await project.git('rev-parse', 'HEAD');
    const killed = await killedAtWrite(rig, project, ['release', 'v1.0.0', '--yes'], when);
    if (killed === null) break;
    interrupted += 1;
    const released = (await project.there('tag')) === 'v1.0.0';
    const again = await project.xingrin(['release', 'v1.0.0', '--yes']);
    // Released by the first run, or by the second: in between there is nothing.
    expect([when, again.exitCode]).toEqual([when, released ? 6 : 0]);
    if (/was interrupted/.test(again.stderr)) {
      ends.add(/going back/.test(again.stderr) ? 'undone' : 'finished');
      expect(/finishing it/.test(again.stderr)).toBe(released);
    }
    expect(await project.git('rev-parse', 'v1.0.0')).toBe(await project.there('rev-parse', 'v1.0.0'));
    expect(await project.there('show', 'v1.0.0:VERSION')).toBe('v1.0.0');
    expect(await project.there('rev-parse', 'main')).toBe(main);
    expect(await project.git('status', '--porcelain')).toBe('');
    expect(await journalIsClosed(project)).toBe(true);
  }
  expect(interrupted).toBeGreaterThan(8);
  expect([...ends].toSorted()).toEqual(['finished', 'undone']);
});

test('--wait ends when the main branch has the release lock', async () => {
  const project = await releaseProject(rig, 'waiting');
  const ci = await project.clone('waiting-ci');
  const waiting = project.xingrin(['release', 'v1.0.0', '--wait', '--yes']);
  const poll = async (): Promise<void> => {
    while ((await project.there('tag')) === '') await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await poll();
  await ci.commit({ 'releases/v1.0.0.json': '{}\n' });
  await ci.git('push', '--quiet');
  const result = await waiting;
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toContain('v1.0.0 is published');
});
