// Publishing five images with xingrin against five builds and pushes in a row, alternated in one run.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { openRig, type Rig } from '../test/e2e/rig.ts';

const ROUNDS = 5;
const IMAGES = ['server', 'frontend', 'nginx', 'worker', 'agent'];

/** The product that `init` writes; `waits` gives each image a build step that waits for a second, as for a package registry. */
async function product(rig: Rig, name: string, waits: boolean): Promise<string> {
  const remote = await rig.bareRepository(name);
  const root = join(rig.folder, name);
  const { exitCode, stderr } = await rig.xingrin(['init', root]);
  if (exitCode !== 0) throw new Error(stderr);
  if (waits) {
    for (const image of IMAGES) {
      await appendFile(
        join(root, 'docker', image, 'Dockerfile'),
        '\nARG IMAGE_TAG\nRUN echo "$IMAGE_TAG" && sleep 1\n',
      );
    }
  }
  const git = (...args: string[]): Promise<string> => rig.must(['git', '-C', root, ...args]);
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git('commit', '--quiet', '--message=Begin');
  await git('remote', 'add', 'origin', remote);
  await git('push', '--quiet', '--set-upstream', 'origin', 'main');
  return root;
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
}

async function xingrin(rig: Rig, root: string, repository: string, ...args: string[]): Promise<void> {
  const { exitCode, stderr } = await rig.xingrin(['-C', root, '--yes', '--quiet', ...args], {
    env: { DOCKER_USER: repository },
  });
  if (exitCode !== 0) throw new Error(`xingrin ${args.join(' ')}: ${exitCode}\n${stderr}`);
}

async function inARow(rig: Rig, root: string, repository: string, tag: string): Promise<void> {
  for (const image of IMAGES) {
    const reference = `${repository}/xingrin-${image}:${tag}`;
    const argv = ['docker', 'buildx', 'build', '--push', '--provenance=false', '--build-arg', `IMAGE_TAG=${tag}`];
    await rig.must([...argv, '--tag', reference, '--file', `docker/${image}/Dockerfile`, '.'], { cwd: root });
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

await prepareMachine();
const rig = await openRig();
try {
  for (const waits of [false, true]) {
    const name = waits ? 'waiting' : 'plain';
    const root = await product(rig, name, waits);
    const repository = `${rig.sandbox.registry.address}/${name}`;
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      await xingrin(rig, root, repository, 'release', `v1.${round}.0`);
      ours.push(await seconds(() => xingrin(rig, root, repository, 'publish', `v1.${round}.0`)));
      theirs.push(await seconds(() => inARow(rig, root, repository, `v9.${round}.0`)));
    }
    const [mine, other] = [median(ours), median(theirs)];
    const what = waits ? 'each image waits 1 s while building' : 'the images of init as they are';
    process.stdout.write(
      `publish five images, ${what}: xingrin ${mine.toFixed(2)} s, five builds and pushes in a row ${other.toFixed(2)} s, ratio ${(mine / other).toFixed(2)}\n`,
    );
  }
} finally {
  await rig.close();
}
