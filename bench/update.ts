// An update to the next release against the sequence stop, pull, up on the same stack: seconds without an answer from the front door,
// in turns; once with the images of init as they are, a few changed kilobytes over a registry on the same machine, and once with as
// much to pull as products have. Then the plan of an update that has nothing to change.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setEnvValues } from '../src/domain/env-file.ts';
import { enter, watchFrontDoor, type FrontDoor, type Watched } from '../src/effects/front-door.ts';
import { until } from '../src/effects/clock.ts';
import { prepareMachine } from '../test/e2e/prepare.ts';
import { makeProduct, type Product, type Server } from '../test/e2e/product.ts';
import { openRig, type Rig } from '../test/e2e/rig.ts';

const IMAGES = ['server', 'frontend', 'nginx', 'worker', 'agent'] as const;
/** Megabytes that are new in each of the five images of the larger release. */
const BALLAST = 60;
const ROUNDS = 3;
const PLANS = 9;

/** How long the stack is watched before and after, in milliseconds: whoever is late counts, too. */
const MARGIN = 1_000;

async function openDoor(rig: Rig, server: Server): Promise<FrontDoor> {
  const authority = await readFile(join(server.root, 'docker/nginx/ssl/ca.pem'), 'utf8');
  return { host: rig.engine.address, port: 8083, authority, signal: new AbortController().signal };
}

async function watched(door: FrontDoor, version: string, work: () => Promise<unknown>): Promise<Watched & Seconds> {
  const watch = watchFrontDoor(door, '/api/');
  const pause = (): Promise<void> => new Promise((resolve) => void setTimeout(resolve, MARGIN));
  await pause();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  await until(`${version} at the front door`, 120_000, async () => (await versionAt(door)) === version);
  await pause();
  return { ...(await watch.end()), seconds };
}

interface Seconds {
  readonly seconds: number;
}

async function versionAt(door: FrontDoor): Promise<string | null> {
  const answer = await enter(door, '/api/');
  return answer === null ? null : (JSON.parse(answer) as { version: string }).version;
}

/** What an operator without xingrin does. */
async function stopPullUp(rig: Rig, server: Server, version: string): Promise<void> {
  const compose = (...args: string[]): Promise<string> =>
    rig.must(['docker', 'compose', ...args], { cwd: join(server.root, 'docker') });
  await server.git('checkout', '--quiet', '--detach', version);
  await compose('stop');
  const text = setEnvValues(await readFile(server.env, 'utf8'), server.env, { IMAGE_TAG: version });
  await writeFile(server.env, text);
  await compose('pull', '--quiet');
  await compose('up', '--detach', '--wait');
}

/** Both begin on v1.0.0, without the images of the next release. */
async function begin(rig: Rig, product: Product, server: Server, next: string): Promise<void> {
  await server.ok(['install', '--yes', '--version', 'v1.0.0']);
  await server.git('checkout', '--quiet', '--force', 'main');
  await server.ok(['update', 'v1.0.0', '--yes']);
  for (const image of IMAGES) await rig.docker(['rmi', '--force', product.reference(image, next)]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The same release, with something new to pull in each image. */
function heavier(version: string): Record<string, string> {
  const lines = ['FROM base', 'USER 0', `RUN head -c ${BALLAST}000000 /dev/urandom > /ballast`];
  const dockerfile = [...lines, `ENV IMAGE_TAG=${version}`, ''].join('\n');
  return Object.fromEntries(IMAGES.map((image) => [image, dockerfile]));
}

async function compare(rig: Rig, product: Product, server: Server, version: string, about: string): Promise<void> {
  const ours: (Watched & Seconds)[] = [];
  const theirs: (Watched & Seconds)[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await begin(rig, product, server, version);
    const door = await openDoor(rig, server);
    ours.push(await watched(door, version, () => server.ok(['update', version, '--yes'])));
    await begin(rig, product, server, version);
    theirs.push(await watched(door, version, () => stopPullUp(rig, server, version)));
  }
  const away = [ours, theirs].map((each) => median(each.map((one) => one.away)));
  const whole = [ours, theirs].map((each) => median(each.map((one) => one.seconds)));
  const slowest = median(ours.map((one) => one.slowest));
  process.stdout.write(
    `update, ${about}, seconds without an answer: xingrin ${away[0]?.toFixed(1)}, stop-pull-up ${away[1]?.toFixed(1)}, ratio ${((away[0] ?? 0) / (away[1] ?? 0)).toFixed(2)}; ` +
      `whole: ${whole[0]?.toFixed(1)} s and ${whole[1]?.toFixed(1)} s; longest wait for an answer with xingrin ${slowest.toFixed(1)} s\n`,
  );
}

await prepareMachine();
const rig = await openRig();
try {
  const product = await makeProduct(rig);
  await product.release('v1.2.0', { images: heavier('v1.2.0') });
  const server = await product.checkout('server');
  // The certificate is made for the name that the bench knocks at.
  const example = await readFile(`${server.env}.example`, 'utf8');
  await writeFile(server.env, setEnvValues(example, server.env, { PUBLIC_HOST: rig.engine.address }), { mode: 0o600 });
  await compare(rig, product, server, 'v1.1.0', 'images of init');
  await compare(rig, product, server, 'v1.2.0', `${BALLAST} MB new in each image`);
  await server.git('checkout', '--quiet', '--force', 'main');
  await server.ok(['update', '--yes']);
  const plans: number[] = [];
  for (let round = 0; round < PLANS; round += 1) {
    const began = performance.now();
    const { data } = await server.ok(['update', '--dry-run']);
    plans.push((performance.now() - began) / 1000);
    if (data.steps?.length !== 0) throw new Error(`something to do: ${JSON.stringify(data.steps)}`);
  }
  process.stdout.write(`plan of an update without changes: ${median(plans).toFixed(2)} s\n`);
} finally {
  await rig.close();
}
