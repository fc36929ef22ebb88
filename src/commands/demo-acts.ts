import { join } from 'node:path';
import * as z from 'zod';
import { envValue, parseEnvFile, setEnvValues } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import { until } from '../effects/clock.ts';
import { readText, writeFileAtomic } from '../effects/files.ts';
import { enter, watchFrontDoor, type FrontDoor } from '../effects/front-door.ts';
import { FIRST, SECOND, type Act, type ActName } from '../plan/demo.ts';
import type { Stage } from './demo-stage.ts';

/** What an act has shown: in words, and the seconds without an answer from the front door where those were counted. */
export interface Proof {
  readonly text: Text;
  readonly away?: number;
}

type Perform = (stage: Stage, onLine: (line: string) => void) => Promise<Proof>;

/** What the second version says on its page. */
const GREETING = `Hello from ${SECOND} · 来自 ${SECOND} 的问候`;
const PAGE = join('docker', 'frontend', 'www', 'index.html');

/** Milliseconds that the agent has for its first heartbeat; it sends one every three seconds. */
const HEARTBEAT_LIMIT = 15_000;

const createdSchema = z.object({ created: z.array(z.string()) });
const imagesSchema = z.object({ images: z.array(z.object({ digest: z.string() })) });
const statusSchema = z.object({
  consistent: z.literal(true),
  services: z.array(z.object({ state: z.literal('running'), health: z.literal('healthy') })),
});
const serverSchema = z.object({ version: z.string() });
const workersSchema = z.object({
  workers: z.array(z.object({ name: z.string(), status: z.string(), version: z.string().nullable() })),
});

/** How each act is done; everything in it is real. */
export const PERFORM: Readonly<Record<ActName, Perform>> = {
  async init(stage, onLine) {
    const { created } = createdSchema.parse(await stage.xingrin('dev', ['init', stage.project.dev], onLine));
    await beginRepository(stage);
    return { text: { en: `a project of ${created.length} files`, zh: `含 ${created.length} 个文件的项目` } };
  },
  release: (stage, onLine) => release(stage, FIRST, onLine),
  publish: (stage, onLine) => publish(stage, FIRST, onLine),
  async install(stage, onLine) {
    await stage.must(['git', 'clone', '--quiet', stage.remote, stage.project.server]);
    const { services } = statusSchema.parse(await stage.xingrin('server', ['install'], onLine));
    return { text: { en: `${services.length} services healthy`, zh: `${services.length} 个服务健康` } };
  },
  async status(stage, onLine) {
    statusSchema.parse(await stage.xingrin('server', ['status'], onLine));
    return { text: { en: `all of it on ${FIRST}`, zh: `全部为 ${FIRST}` } };
  },
  async heartbeat(stage) {
    const door = await openDoor(stage);
    const envFile = join(stage.project.server, 'docker', '.env');
    const token = envValue(parseEnvFile((await readText(envFile)) ?? '', envFile), 'ADMIN_TOKEN') ?? '';
    let online = 0;
    await until('the first heartbeat', HEARTBEAT_LIMIT, async () => {
      stage.signal.throwIfAborted();
      const answer = await enter(door, '/api/workers/', token);
      const { workers } = workersSchema.parse(JSON.parse(answer ?? '{"workers":[]}'));
      online = workers.filter(({ status, version }) => status === 'online' && version === FIRST).length;
      return online > 0;
    });
    return { text: { en: `agent online, on ${FIRST}`, zh: `agent 在线,版本 ${FIRST}` } };
  },
  async change(stage) {
    const { dev } = stage.project;
    await stage.must(['git', 'pull', '--quiet', '--ff-only'], dev);
    const page = (await readText(join(dev, PAGE))) ?? '';
    await writeFileAtomic(join(dev, PAGE), page.replace('<footer>', `<p>${GREETING}</p>\n      <footer>`));
    await stage.must(['git', 'commit', '--quiet', '--all', '--message', 'Greet the visitor'], dev);
    await stage.must(['git', 'push', '--quiet'], dev);
    return { text: { en: 'a greeting on the page', zh: '页面上多一句问候' } };
  },
  'release-again': (stage, onLine) => release(stage, SECOND, onLine),
  'publish-again': (stage, onLine) => publish(stage, SECOND, onLine),
  update: (stage, onLine) => move(stage, 'update', SECOND, onLine),
  rollback: (stage, onLine) => move(stage, 'rollback', FIRST, onLine),
};

/** Performs an act and makes sure that the front door answers with the version that it must. */
export async function performAct(
  act: Act & { readonly name: ActName },
  stage: Stage,
  onLine: (line: string) => void,
): Promise<Proof> {
  const proof = await PERFORM[act.name](stage, onLine);
  const running = await versionAtTheDoor(stage);
  if (running === act.running) return proof;
  return fail('FAILED', {
    en: `after ${act.typed} the front door should answer ${act.running ?? '∅'}, and answers ${running ?? '∅'}`,
    zh: `执行 ${act.typed} 之后,入口应返回 ${act.running ?? '∅'},实际返回 ${running ?? '∅'}`,
  });
}

/** What the server behind the front door says it runs; null if nobody answers. */
async function versionAtTheDoor(stage: Stage): Promise<string | null> {
  const door = await stage.door();
  const answer = door === null ? null : await enter(door, '/api/');
  return answer === null ? null : serverSchema.parse(JSON.parse(answer)).version;
}

/** The one thing an operator does by hand: say where images go, and put the project under git. */
async function beginRepository({ project: { dev }, must, remote, repository, address }: Stage): Promise<void> {
  const example = join(dev, 'docker', '.env.example');
  const settings = { DOCKER_USER: repository, PUBLIC_HOST: address };
  await writeFileAtomic(example, setEnvValues((await readText(example)) ?? '', example, settings));
  await writeFileAtomic(join(dev, 'xingrin.yaml'), `repository: ${repository}\n`);
  await must(['git', 'init', '--quiet', '--bare', '--initial-branch=main', remote]);
  for (const argv of [
    ['init', '--quiet', '--initial-branch=main'],
    ['config', 'user.name', 'Demo'],
    ['config', 'user.email', 'demo@example.invalid'],
    ['add', '--all'],
    ['commit', '--quiet', '--message', 'Begin'],
    ['remote', 'add', 'origin', remote],
    ['push', '--quiet', '--set-upstream', 'origin', 'main'],
  ]) {
    await must(['git', ...argv], dev);
  }
}

async function release(stage: Stage, version: string, onLine: (line: string) => void): Promise<Proof> {
  await stage.xingrin('dev', ['release', version], onLine);
  const held = await stage.must(['git', '-C', stage.remote, 'show', `${version}:VERSION`]);
  if (held !== version) throw new Error(`the tag ${version} holds VERSION ${held}`);
  return { text: { en: `tag ${version} holds ${held}`, zh: `标签 ${version} 内为 ${held}` } };
}

async function publish(stage: Stage, version: string, onLine: (line: string) => void): Promise<Proof> {
  const { images } = imagesSchema.parse(await stage.xingrin('dev', ['publish', version], onLine));
  const main = await stage.must(['git', '-C', stage.remote, 'show', 'main:VERSION']);
  if (main !== version) throw new Error(`main holds VERSION ${main}`);
  return { text: { en: `${images.length} images; main on ${main}`, zh: `${images.length} 个镜像;main 为 ${main}` } };
}

/** Update and rollback, with somebody knocking at the front door all the while. */
async function move(
  stage: Stage,
  command: 'update' | 'rollback',
  version: string,
  onLine: (line: string) => void,
): Promise<Proof> {
  const door = await openDoor(stage);
  const watch = watchFrontDoor(door, '/api/');
  let away = 0;
  try {
    statusSchema.parse(await stage.xingrin('server', [command], onLine));
  } finally {
    ({ away } = await watch.end());
  }
  const page = (await enter(door, '/')) ?? '';
  if (!page.includes(version) || page.includes(GREETING) !== (version === SECOND))
    throw new Error(`the page is not that of ${version}`);
  return {
    away,
    text: { en: `${away.toFixed(1)} s without an answer`, zh: `入口无应答 ${away.toFixed(1)} 秒` },
  };
}

async function openDoor(stage: Stage): Promise<FrontDoor> {
  const door = await stage.door();
  if (door === null) throw new Error('install has made no certificate');
  return door;
}
