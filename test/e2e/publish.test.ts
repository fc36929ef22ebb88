import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { exists } from '../../src/effects/files.ts';
import { openRig, type Outcome, type Rig } from './rig.ts';
import { journalIsClosed, killedAtWrite } from './kill.ts';
import { releaseProject, snapshot, type ReleaseProject } from './release-project.ts';

const ENTRY = new URL('../../bin/xingrin.js', import.meta.url).pathname;

let rig: Rig;
beforeAll(async () => {
  rig = await openRig(['busybox:1.37']);
});
afterAll(() => rig.close());

/** A project with a version that is tagged and pushed, and nothing more. */
async function released(name: string, version = 'v1.0.0'): Promise<ReleaseProject> {
  const project = await releaseProject(rig, name);
  await release(project, version);
  return project;
}

async function release(project: ReleaseProject, version: string): Promise<void> {
  const result = await project.xingrin(['release', version, '--yes', '--quiet']);
  if (result.exitCode !== 0) throw new Error(result.stderr);
}

function kindsOf(outcome: Outcome): string[] {
  const { data } = JSON.parse(outcome.stdout) as { data: { steps: { kind: string }[] } };
  return data.steps.map(({ kind }) => kind.replace('publish-', ''));
}

/** What is announced, in one line: VERSION on main, its locks, and which images `latest` is. */
async function announced(project: ReleaseProject): Promise<string> {
  const version = await project.there('show', 'main:VERSION');
  const locks = await project.there('ls-tree', '-r', '--name-only', 'main', 'releases');
  return [version, ...locks.split('\n').filter((line) => line !== '')].join(' ');
}

async function digests(project: ReleaseProject, tag: string): Promise<(string | null)[]> {
  return [await project.digest('one', tag), await project.digest('two', tag)];
}

describe('publishing', () => {
  test('builds, verifies, announces in one commit, moves latest; then there is nothing to do', async () => {
    const project = await released('whole');
    const tagged = await project.there('rev-parse', 'v1.0.0^{commit}');
    const result = await project.xingrin(['publish', 'v1.0.0', '--yes', '--json']);

    expect(result.exitCode).toBe(0);
    expect(kindsOf(result)).toEqual(['build', 'verify', 'finalize', 'latest', 'follow']);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
    const lock = JSON.parse(await project.there('show', 'main:releases/v1.0.0.json')) as unknown;
    const [one, two] = await digests(project, 'v1.0.0');
    expect(lock).toEqual({
      schema: 'xingrin-release/v1',
      version: 'v1.0.0',
      commit: tagged,
      images: {
        one: { repository: project.repository, digest: one, platforms: { 'linux/amd64': one } },
        two: { repository: project.repository, digest: two, platforms: { 'linux/amd64': two } },
      },
    });
    expect(await digests(project, 'latest')).toEqual([one, two]);
    expect(await project.labels('one', 'v1.0.0')).toMatchObject({
      'org.opencontainers.image.version': 'v1.0.0',
      'org.opencontainers.image.revision': tagged,
      'org.opencontainers.image.source': project.remote.replace(/\.git$/, ''),
      'org.opencontainers.image.created': await project.there('show', '--no-patch', '--format=%cI', tagged),
    });
    // The release commit has become part of main, and the checkout has followed.
    expect(await project.there('rev-parse', 'main^')).toBe(tagged);
    expect(await project.git('rev-parse', 'HEAD')).toBe(await project.there('rev-parse', 'main'));
    expect(await readFile(join(project.root, 'VERSION'), 'utf8')).toBe('v1.0.0\n');
    expect(await project.git('status', '--porcelain')).toBe('');

    const again = await project.xingrin(['publish', 'v1.0.0', '--json']);
    expect([again.exitCode, kindsOf(again)]).toEqual([0, []]);
    expect((await project.xingrin(['release', '--yes', '--dry-run'])).stdout).toContain('v1.0.0 → v1.0.1');
  });

  test("builds the tag's commit, not what lies in the checkout", async () => {
    const project = await releaseProject(rig, 'tree');
    await project.commit({
      'docker/one/Dockerfile': 'FROM scratch\nCOPY . /\n',
      kept: 'yes\n',
      '.gitattributes': 'kept export-ignore\n',
    });
    await project.git('push', '--quiet');
    await release(project, 'v1.0.0');
    await writeFile(join(project.root, 'untracked'), 'no\n');
    await writeFile(join(project.root, 'kept'), 'edited\n');
    expect((await project.xingrin(['publish', 'v1.0.0', '--yes'])).exitCode).toBe(0);
    const image = `${project.repository}/one:v1.0.0`;
    await rig.must(['docker', 'pull', '--quiet', image]);
    const container = await rig.must(['docker', 'create', image, 'none']);
    const files = await rig.must(['sh', '-c', `docker export ${container} | tar -xO kept VERSION`]);
    const names = await rig.must(['sh', '-c', `docker export ${container} | tar -t`]);
    await rig.must(['docker', 'rm', container]);
    expect(files.split('\n').toSorted()).toEqual(['v1.0.0', 'yes']);
    expect(names).not.toMatch(/untracked|\.git\//);
    // The checkout is being edited: it does not follow.
    expect(await readFile(join(project.root, 'kept'), 'utf8')).toBe('edited\n');
    expect(await exists(join(project.root, 'releases'))).toBe(false);
    expect(await rig.must(['find', join(project.root, '.xingrin', 'tmp'), '-mindepth', '1'])).toBe('');
  });

  test('with the classic builder where there is no buildx', async () => {
    const project = await released('classic');
    const hide =
      'for d in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do ' +
      'if [ -d $d/docker/cli-plugins ]; then mount -t tmpfs none $d/docker/cli-plugins; fi; done; exec "$@"';
    const command = [process.execPath, ENTRY, 'publish', 'v1.0.0', '--yes', '--json'];
    const result = await execa('unshare', ['--mount', 'sh', '-c', hide, 'sh', ...command], {
      cwd: project.root,
      env: { ...rig.env, DOCKER_USER: project.repository },
      extendEnv: false,
      reject: false,
    });
    expect(result.exitCode).toBe(0);
    const outcome = { exitCode: 0, stdout: result.stdout, stderr: result.stderr };
    expect(kindsOf(outcome)).toEqual(['build-one', 'build-one', 'verify', 'finalize', 'latest', 'follow']);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
    const tagged = await project.there('rev-parse', 'v1.0.0^{commit}');
    expect((await project.labels('two', 'v1.0.0'))['org.opencontainers.image.revision']).toBe(tagged);
  });

  test('right after the release, with one question for both', async () => {
    const project = await releaseProject(rig, 'both');
    const result = await project.xingrin(['release', 'v1.0.0', '--publish', '--yes', '--json']);
    expect(result.exitCode).toBe(0);
    expect(kindsOf(result)).toEqual([
      'release-commit',
      'release-tag',
      'release-push',
      'build',
      'verify',
      'finalize',
      'latest',
      'follow',
    ]);
    expect(JSON.parse(result.stdout)).toMatchObject({ command: 'release', data: { from: 'v0.0.0', to: 'v1.0.0' } });
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
  });

  test('of a test release moves neither VERSION nor latest; of a lower version neither', async () => {
    const project = await released('order', 'v1.0.0-dev.1');
    expect((await project.xingrin(['publish', 'v1.0.0-dev.1', '--yes'])).exitCode).toBe(0);
    expect(await announced(project)).toBe('v0.0.0 releases/v1.0.0-dev.1.json');
    expect(await digests(project, 'latest')).toEqual([null, null]);
    expect(await project.there('log', '--format=%s', 'main')).toBe('Publish v1.0.0-dev.1\nwork');

    for (const version of ['v1.0.0', 'v2.0.0']) await release(project, version);
    expect((await project.xingrin(['publish', 'v2.0.0', '--yes'])).exitCode).toBe(0);
    const latest = await digests(project, 'latest');
    expect((await project.xingrin(['publish', 'v1.0.0', '--yes'])).exitCode).toBe(0);
    const locks = ['v1.0.0-dev.1', 'v1.0.0', 'v2.0.0'].map((each) => `releases/${each}.json`);
    expect((await announced(project)).split(' ').toSorted()).toEqual([...locks, 'v2.0.0'].toSorted());
    expect(await digests(project, 'latest')).toEqual(latest);
    expect(latest).toEqual(await digests(project, 'v2.0.0'));
  });
});

describe('a git tag made by hand', () => {
  test('on main: publishes as well', async () => {
    const project = await releaseProject(rig, 'hand');
    await project.git('tag', 'v1.0.0');
    await project.git('push', '--quiet', 'origin', 'v1.0.0');
    expect((await project.xingrin(['publish', '--yes'])).exitCode).toBe(0);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
    expect(await project.there('log', '--format=%s', 'main')).toBe('Publish v1.0.0\nwork');
  });

  test('on another branch: publishes, and main does not get what nobody merged', async () => {
    const project = await releaseProject(rig, 'side');
    await project.git('switch', '--quiet', '--create', 'topic');
    await project.commit({ feature: 'new\n' });
    await project.git('tag', 'v1.0.0');
    await project.git('push', '--quiet', 'origin', 'v1.0.0');
    expect((await project.xingrin(['publish', 'v1.0.0', '--yes'])).exitCode).toBe(0);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
    expect(await project.there('ls-tree', '--name-only', 'main')).not.toContain('feature');
    expect(await project.there('log', '--format=%s', 'main')).toBe('Publish v1.0.0\nwork');
  });

  test('two on one commit: says so and asks for one by name', async () => {
    const project = await releaseProject(rig, 'two');
    for (const tag of ['v1.0.0', 'v1.0.1']) await project.git('tag', tag);
    await project.git('push', '--quiet', '--tags');
    const result = await project.xingrin(['publish', '--yes']);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('v1.0.0, v1.0.1');
    expect((await project.xingrin(['publish', 'v1.0.1', '--yes'])).exitCode).toBe(0);
    expect(await announced(project)).toBe('v1.0.1 releases/v1.0.1.json');
  });

  test('none at HEAD: names the newest', async () => {
    const project = await released('none');
    const result = await project.xingrin(['publish', '--yes']);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('xingrin publish v1.0.0');
  });
});

describe('refused with exit 6, nothing built, nothing moved', () => {
  async function refused(project: ReleaseProject, args: readonly string[], text: string): Promise<void> {
    const before = await snapshot(project);
    const images = await digests(project, 'v1.0.0');
    const result = await project.xingrin([...args, '--yes']);
    expect(`${result.exitCode} ${result.stderr}`).toContain(text);
    expect(result.exitCode).toBe(6);
    expect(await snapshot(project)).toBe(before);
    expect(await digests(project, 'v1.0.0')).toEqual(images);
  }

  test('no such git tag; one that is only here; one that is elsewhere there', async () => {
    const project = await releaseProject(rig, 'tagless');
    await refused(project, ['publish', 'v1.0.0'], 'no git tag v1.0.0, neither here nor at origin');
    await project.git('tag', 'v1.0.0');
    await refused(project, ['publish', 'v1.0.0'], 'git push origin v1.0.0');
    await project.git('push', '--quiet', 'origin', 'v1.0.0');
    await project.commit({ more: 'x\n' });
    await project.git('tag', '--force', 'v1.0.0');
    await refused(project, ['publish', 'v1.0.0'], 'at origin');
  });

  test('the registry is down', async () => {
    const project = await released('regdown');
    await rig.sandbox.registry.down();
    try {
      const before = await snapshot(project);
      for (const args of [
        ['publish', 'v1.0.0'],
        ['publish', 'v1.0.0', '--finalize'],
        ['release', 'v1.0.1', '--publish'],
      ]) {
        const result = await project.xingrin([...args, '--yes']);
        expect([args, result.exitCode]).toEqual([args, 6]);
        expect(result.stderr).toContain('does not answer');
      }
      expect(await snapshot(project)).toBe(before);
    } finally {
      await rig.sandbox.registry.up();
    }
  });

  test('the name is taken by another commit', async () => {
    const project = await released('taken');
    await rig.must(['docker', 'pull', '--quiet', 'busybox:1.37']);
    await rig.must(['docker', 'tag', 'busybox:1.37', `${project.repository}/two:v1.0.0`]);
    await rig.must(['docker', 'push', '--quiet', `${project.repository}/two:v1.0.0`]);
    await refused(project, ['publish', 'v1.0.0'], 'in the registry already, built from an unknown commit');
  });

  test('published, then an image is gone, moved, or the git tag is', async () => {
    const project = await released('moved');
    await project.xingrin(['publish', 'v1.0.0', '--yes']);
    await rig.must(['docker', 'pull', '--quiet', 'busybox:1.37']);
    await rig.must(['docker', 'tag', 'busybox:1.37', `${project.repository}/two:v1.0.0`]);
    await rig.must(['docker', 'push', '--quiet', `${project.repository}/two:v1.0.0`]);
    await refused(project, ['publish', 'v1.0.0'], 'in releases/v1.0.0.json');
    const path = project.repository.slice(project.repository.indexOf('/') + 1);
    const digest = await project.digest('two', 'v1.0.0');
    await fetch(`${rig.sandbox.registry.url}/v2/${path}/two/manifests/${digest}`, { method: 'DELETE' });
    await refused(project, ['publish', 'v1.0.0'], 'is gone from the registry');
    await project.git('tag', '--force', 'v1.0.0', 'main');
    await project.git('push', '--quiet', '--force', 'origin', 'v1.0.0');
    await refused(project, ['publish', 'v1.0.0'], 'its git tag has been moved');
  });

  test('finalizing with an image or a platform missing, each named', async () => {
    const project = await released('incomplete');
    await refused(
      project,
      ['publish', 'v1.0.0', '--finalize'],
      `${project.repository}/one:v1.0.0 is not in the registry`,
    );
    expect((await project.xingrin(['publish', 'v1.0.0', '--image', 'one', '--yes'])).exitCode).toBe(0);
    await refused(
      project,
      ['publish', 'v1.0.0', '--finalize'],
      `${project.repository}/two:v1.0.0 is not in the registry`,
    );

    const wide = await releaseProject(rig, 'wide');
    const file = '    dockerfile: docker/one/Dockerfile\n';
    await wide.commit({ 'xingrin.yaml': `images:\n  - name: one\n${file}    platforms: [linux/amd64]\n` });
    await wide.git('push', '--quiet');
    await release(wide, 'v1.0.0');
    expect((await wide.xingrin(['publish', 'v1.0.0', '--image', 'one', '--yes'])).exitCode).toBe(0);
    await wide.commit({ 'xingrin.yaml': `images:\n  - name: one\n${file}    platforms: [linux/amd64, linux/arm64]\n` });
    await wide.git('tag', '--force', 'v1.0.0');
    await wide.git('push', '--quiet', '--force', 'origin', 'v1.0.0', 'main');
    await refused(wide, ['publish', 'v1.0.0', '--finalize'], 'is of commit');
  });

  test('an image that is not of the release: exit 2', async () => {
    const project = await released('unknown');
    const result = await project.xingrin(['publish', 'v1.0.0', '--image', 'tow', '--yes']);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('did you mean two?');
    expect((await project.xingrin(['publish', 'v1.0.0', '--image', 'two', '--finalize'])).exitCode).toBe(2);
  });
});

describe('goes on where it stopped', () => {
  test('after a build that failed, whose image and last lines are shown; what was pushed stays', async () => {
    const project = await releaseProject(rig, 'broken');
    const broken = 'FROM busybox:1.37\nARG BROKEN\nRUN echo the reason; test -e /none\n';
    await project.commit({ 'docker/two/Dockerfile': broken });
    await project.git('push', '--quiet');
    await release(project, 'v1.0.0');
    expect((await project.xingrin(['publish', 'v1.0.0', '--image', 'one', '--yes'])).exitCode).toBe(0);
    const [one] = await digests(project, 'v1.0.0');
    const result = await project.xingrin(['publish', 'v1.0.0', '--yes', '--json']);
    const { error } = JSON.parse(result.stdout) as { error: { message: string; evidence: string; hint: string } };
    expect(result.exitCode).toBe(1);
    expect(error.message).toContain('building or pushing two failed');
    expect(error.evidence).toContain('the reason');
    expect(error.hint).toContain('xingrin publish v1.0.0');
    expect(await digests(project, 'v1.0.0')).toEqual([one, null]);
    expect(await announced(project)).toBe('v0.0.0');
    expect(await journalIsClosed(project)).toBe(true);
  });

  test('after a push to main that was refused: nothing is built again', async () => {
    const project = await released('protected');
    const hook = join(project.remote, 'hooks', 'update');
    await writeFile(hook, '#!/bin/sh\necho "main is protected" >&2\nexit 1\n');
    await chmod(hook, 0o755);
    const first = await project.xingrin(['publish', 'v1.0.0', '--yes']);
    expect(first.exitCode).toBe(1);
    expect(first.stderr).toContain('main is protected');
    expect(await announced(project)).toBe('v0.0.0');
    const images = await digests(project, 'v1.0.0');
    await rm(hook);
    const second = await project.xingrin(['publish', 'v1.0.0', '--yes', '--json']);
    expect([second.exitCode, kindsOf(second)]).toEqual([0, ['verify', 'finalize', 'latest', 'follow']]);
    expect(await digests(project, 'v1.0.0')).toEqual(images);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
  });

  test('after Ctrl-C in the middle of a build', async () => {
    const project = await releaseProject(rig, 'interrupted');
    await project.commit({ 'docker/two/Dockerfile': 'FROM busybox:1.37\nRUN sleep 4\n' });
    await project.git('push', '--quiet');
    await release(project, 'v1.0.0');
    const child = execa(process.execPath, [ENTRY, 'publish', 'v1.0.0', '--yes'], {
      cwd: project.root,
      env: { ...rig.env, DOCKER_USER: project.repository },
      extendEnv: false,
      reject: false,
    });
    await until('the first image', async () => (await project.digest('one', 'v1.0.0')) !== null);
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(130);
    expect(await journalIsClosed(project)).toBe(true);
    const [one, two] = await digests(project, 'v1.0.0');
    expect(two).toBeNull();
    expect((await project.xingrin(['publish', 'v1.0.0', '--yes'])).exitCode).toBe(0);
    expect(await project.digest('one', 'v1.0.0')).toBe(one);
  });

  test('after kill -9 at every step; what the registry has is not built again', async () => {
    let interrupted = 0;
    const said = new Set<string>();
    // Each step writes when it starts and when it is done: with every second write every step is met.
    for (let when = 1; ; when += 2) {
      const project = await released(`crash${when}`);
      const killed = await killedAtWrite(rig, project, ['publish', 'v1.0.0', '--yes'], when);
      if (killed === null) break;
      interrupted += 1;
      const before = await digests(project, 'v1.0.0');
      const again = await project.xingrin(['publish', 'v1.0.0', '--yes', '--json']);
      expect([when, again.exitCode]).toEqual([when, 0]);
      const [way] = /going back|finishing it/.exec(again.stderr) ?? [];
      if (way !== undefined) said.add(way);
      if (!before.includes(null)) expect(kindsOf(again)).not.toContain('build');
      const after = await digests(project, 'v1.0.0');
      for (const [index, digest] of before.entries()) if (digest !== null) expect(after[index]).toBe(digest);
      expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
      expect(await digests(project, 'latest')).toEqual(after);
      expect(await project.there('rev-list', '--count', 'main')).toBe('3');
      expect(await project.git('status', '--porcelain')).toBe('');
      expect(await journalIsClosed(project)).toBe(true);
    }
    expect(interrupted).toBeGreaterThan(10);
    expect([...said].toSorted()).toEqual(['finishing it', 'going back']);
  });
});

test('two releases that end at once: the higher version stays, both locks are there, latest is the higher', async () => {
  const project = await released('race', 'v1.1.0');
  const other = await project.clone('race-other');
  await release(other, 'v1.2.0');
  await project.git('fetch', '--quiet', '--tags');
  const [first, second] = await Promise.all([
    project.xingrin(['publish', 'v1.1.0', '--yes']),
    other.xingrin(['publish', 'v1.2.0', '--yes']),
  ]);
  expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
  expect(await announced(project)).toBe('v1.2.0 releases/v1.1.0.json releases/v1.2.0.json');
  expect(await digests(project, 'latest')).toEqual(await digests(project, 'v1.2.0'));
  // Both release commits are part of main, none of its files was lost.
  for (const version of ['v1.1.0', 'v1.2.0']) await project.there('merge-base', '--is-ancestor', version, 'main');
  expect(await project.there('ls-tree', '--name-only', 'main')).toContain('xingrin.yaml');
});

describe('in CI', () => {
  /** A checkout as CI makes it: one commit, HEAD detached, the annotated git tag flattened to a plain one. */
  async function checkout(project: ReleaseProject, name: string): Promise<string> {
    const root = join(rig.folder, name);
    const commit = await project.there('rev-parse', 'v1.0.0^{commit}');
    await rig.must(['git', 'init', '--quiet', root]);
    await rig.must(['git', 'remote', 'add', 'origin', `file://${project.remote}`], { cwd: root });
    const refspec = `+${commit}:refs/tags/v1.0.0`;
    await rig.must(
      ['git', '-c', 'protocol.version=2', 'fetch', '--quiet', '--no-tags', '--depth=1', 'origin', refspec],
      {
        cwd: root,
      },
    );
    await rig.must(['git', 'checkout', '--quiet', '--force', 'refs/tags/v1.0.0'], { cwd: root });
    return root;
  }

  test('each image by a job of its own, then the end; a job may run twice', async () => {
    const project = await released('ci');
    const env = { GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'v1.0.0', CI: 'true' };
    for (const image of ['one', 'two', 'two']) {
      const cwd = await checkout(project, `ci-${image}`);
      const result = await project.xingrin(['publish', '--image', image, '--yes'], { cwd, env });
      expect([image, result.exitCode]).toEqual([image, 0]);
      await rm(cwd, { recursive: true });
    }
    expect(await announced(project)).toBe('v0.0.0');
    const cwd = await checkout(project, 'ci-end');
    // The end takes no engine.
    const end = {
      cwd,
      env: { ...env, DOCKER_HOST: undefined, GIT_AUTHOR_NAME: 'CI', GIT_AUTHOR_EMAIL: 'ci@example.invalid' },
    };
    expect(await project.there('rev-list', '--count', 'main')).toBe('1');
    const result = await project.xingrin(['publish', 'v1.0.0', '--finalize', '--yes'], {
      ...end,
      env: { ...end.env, DOCKER_HOST: rig.env['DOCKER_HOST'] },
    });
    expect(`${result.exitCode} ${result.stderr}`).toMatch(/^0 /);
    expect(await announced(project)).toBe('v1.0.0 releases/v1.0.0.json');
    expect(await project.there('log', '-1', '--format=%an %s', 'main')).toBe('CI Publish v1.0.0');
    expect(await digests(project, 'latest')).toEqual(await digests(project, 'v1.0.0'));
  });
});
