import {
  checkAgent,
  checkClock,
  checkDisk,
  checkEngine,
  checkImage,
  refusedLogin,
  type HostFacts,
  type WantedImage,
} from '../domain/check-host.ts';
import { checkMirrors, checkProbes } from '../domain/check-reach.ts';
import {
  checked,
  HOST_CHECKS,
  unchecked,
  type Check,
  type CheckName,
  type Look,
  type Place,
} from '../domain/checkup.ts';
import { UserError } from '../domain/errors.ts';
import { splitReference } from '../domain/image.ts';
import { addressOf } from '../domain/inventory.ts';
import { same, type Text } from '../domain/text.ts';
import { mayGoWithoutTls } from '../effects/registry-transport.ts';
import type { Connection } from '../effects/transport.ts';
import { MAIN_HOST } from '../plan/plan.ts';
import { attempt, type Unknown } from './attempt.ts';
import type { ReachableHost, ReachableWorker } from './every-host.ts';
import { probeRegistry, readHostFacts } from './host-facts.ts';

/** What docker/.env asks for. */
export interface Wish {
  readonly imageTag: string;
  /** The images of the matrix. */
  readonly matrix: readonly WantedImage[];
  /** What tasks run; null where nothing says so. */
  readonly executor: WantedImage | null;
  /** What it would be if docker/.env did not say otherwise. */
  readonly usualExecutor: string | null;
  /** TASK_EXECUTOR_IMAGE as it stands there. */
  readonly ownExecutor: string;
  readonly publicHost: string;
}

const HUB = 'docker.io';
const NOT_INSTALLED: Text = { en: 'nothing is installed', zh: '尚未安装' };
const NO_ENGINE: Text = { en: 'Docker does not answer', zh: 'Docker 没有响应' };
const NO_LOGIN: Text = { en: 'no way in', zh: '无法登录' };
const MAIN_CLOCK: Text = { en: 'the main server', zh: '主服务器' };

/** What the main server says of itself; asked once, for several checks. Throws as the engine's client cannot be run. */
export async function readMainFacts(main: ReachableHost, wish: Wish | null): Promise<HostFacts> {
  return readHostFacts(
    await main.connect(),
    imagesOf(wish, (each) => each.matrix),
  );
}

/** The checks of the main server that need nothing but its own word. */
export async function checkMain(facts: Promise<HostFacts>, wish: Wish | null): Promise<Check[]> {
  const at = (name: CheckName): Place => ({ name, host: MAIN_HOST, whole: false });
  const engine = await attempt(at('engine'), async () => checkEngine(await facts, null));
  const here = await facts.catch(() => null);
  return [engine, ...checksOfEngine(here, wish, at)];
}

/**
 * All checks of a worker.
 *
 * @param main what the main server says of itself
 */
export async function checkWorker(
  host: ReachableWorker,
  wish: Wish | null,
  main: Promise<HostFacts>,
): Promise<Check[]> {
  const { worker } = host;
  const at = (name: CheckName): Place => ({ name, host: worker.name, whole: false });
  try {
    const connection = await host.connect();
    const facts = await readHostFacts(
      connection,
      imagesOf(wish, (each) => (each.executor === null ? [] : [each.executor])),
    );
    return [
      checked(at('login'), { fact: same(addressOf(worker)), complaints: [] }),
      checked(at('engine'), checkEngine(facts, worker.name)),
      ...checksOfEngine(facts, wish, at),
      agentCheck(facts, worker.name, wish, at('agent')),
      await attempt(at('registry'), async () => {
        const mirrors = (await main.catch(() => null))?.mirrors ?? [];
        return registryLook(connection, facts, worker.name, wish, mirrors);
      }),
      checked(at('clock'), checkClock(facts, MAIN_CLOCK, worker.name)),
    ];
  } catch (error) {
    if (!(error instanceof UserError) || error.code === 'INTERRUPTED') throw error;
    const [login, ...others] = HOST_CHECKS;
    return [checked(at(login), refusedLogin(error)), ...others.map((name) => unchecked(at(name), NO_LOGIN))];
  }
}

function checksOfEngine(facts: HostFacts | null, wish: Wish | null, at: (name: CheckName) => Place): Check[] {
  if (facts === null || facts.docker !== 'answers')
    return [unchecked(at('image'), NO_ENGINE), unchecked(at('disk'), NO_ENGINE)];
  const needed = Object.values(facts.images).reduce((sum, image) => sum + (image?.size ?? 0), 0);
  return [
    wish === null || wish.executor === null
      ? unchecked(at('image'), NOT_INSTALLED)
      : checked(at('image'), checkImage(facts, wish.executor)),
    checked(at('disk'), checkDisk(facts, needed)),
  ];
}

function agentCheck(facts: HostFacts, worker: string, wish: Wish | null, place: Place): Check {
  if (facts.docker !== 'answers') return unchecked(place, NO_ENGINE);
  return wish === null ? unchecked(place, NOT_INSTALLED) : checked(place, checkAgent(facts, worker, wish.imageTag));
}

async function registryLook(
  connection: Connection,
  facts: HostFacts,
  worker: string,
  wish: Wish | null,
  mirrors: readonly string[],
): Promise<Look | Unknown> {
  const reference = wish?.executor?.reference;
  if (reference === undefined) return { unknown: NOT_INSTALLED };
  const { registry } = splitReference(reference);
  const lax = registry !== HUB && (await mayGoWithoutTls(registry, facts.insecure));
  const urls =
    registry === HUB
      ? [...facts.mirrors.map((url) => `${url.replace(/\/$/, '')}/v2/`), 'https://registry-1.docker.io/v2/']
      : [`https://${registry}/v2/`, ...(lax ? [`http://${registry}/v2/`] : [])];
  const look = checkProbes(registry, await probeRegistry(connection, registry, lax, urls), worker);
  const detour = registry === HUB ? checkMirrors(facts.mirrors, mirrors, worker) : null;
  return detour === null ? look : { ...look, complaints: [...look.complaints, detour] };
}

/** The matrix' for the main server, which its disk must have room for; and always what tasks run. */
function imagesOf(wish: Wish | null, more: (wish: Wish) => readonly WantedImage[]): string[] {
  if (wish === null) return [];
  const { executor } = wish;
  return [...new Set([...more(wish), ...(executor === null ? [] : [executor])].map(({ reference }) => reference))];
}
