import { checkClock, type HostFacts } from '../domain/check-host.ts';
import { checkOperations, type OperationFacts } from '../domain/check-project.ts';
import { checkPulls, checkRegistry, checkTags, mendsOfMissing } from '../domain/check-registry.ts';
import { withoutVainPulls, type Check, type Look, type Place } from '../domain/checkup.ts';
import type { Text } from '../domain/text.ts';
import { onEach } from '../effects/fleet.ts';
import { MAIN_HOST } from '../plan/plan.ts';
import { attempt, attemptWith, type Unknown } from './attempt.ts';
import { checkMain, checkWorker, readMainFacts, type Wish } from './checkup-hosts.ts';
import { certificateLook, gitLook, readWish, servicesLook, tasksLook, versionsLook } from './checkup-project.ts';
import type { EveryHost } from './every-host.ts';
import type { Project } from './project.ts';
import { readRegistries, type RegistryView } from './registry-facts.ts';

export interface CheckupOptions {
  /** What is at work on the project, or was interrupted. */
  readonly operations: () => Promise<OperationFacts>;
  /** Why the workers are not known; null if they are. */
  readonly inventoryError: unknown;
  readonly now: Date;
  /** So many hosts are looked at side by side. */
  readonly parallel: number;
}

const NOT_INSTALLED: Text = { en: 'nothing is installed', zh: '尚未安装' };
const NO_ENGINE: Text = { en: 'Docker does not answer', zh: 'Docker 没有响应' };
const NO_STACK: Text = { en: 'the stack cannot be read', zh: '无法读取服务定义' };
const NO_REGISTRY: Text = { en: 'the registry does not answer', zh: '镜像仓库没有应答' };

/**
 * Looks at everything that has to be right, on all hosts side by side. Changes nothing, and ends: what cannot be looked at is a
 * complaint, or unknown where another complaint says why.
 */
export async function observeCheckup(project: Project, hosts: EveryHost, options: CheckupOptions): Promise<Check[]> {
  const { check: settings, value: wish } = await attemptWith(whole('settings'), () => readWish(project));
  const facts = readMainFacts(hosts.main, wish);
  const registries = facts.catch(() => null).then((here) => registriesOf(wish, here));
  const all = await Promise.all([
    [settings],
    checkProject(project, wish, facts, options),
    attempt(whole('operations'), async () => checkOperations(await options.operations())).then((check) => [check]),
    attempt(whole('inventory'), async () => inventoryLook(hosts, options.inventoryError)).then((check) => [check]),
    checkRegistries(wish, registries),
    attempt(whole('git'), () => gitLook(project)).then((check) => [check]),
    checkMain(facts, wish),
    attempt(onMain('clock'), () => mainClockLook(registries)).then((check) => [check]),
    onEach(hosts.workers, options.parallel, (host) => checkWorker(host, wish, facts)).then((outcomes) =>
      outcomes.flatMap((outcome) => {
        if ('error' in outcome) throw outcome.error;
        return outcome.value;
      }),
    ),
  ]);
  const mends = mendsOfMissing((await registries.catch(() => [])).filter(({ silence }) => silence === null));
  return all.flat().map((check) => withoutVainPulls(check, mends));
}

async function checkProject(
  project: Project,
  wish: Wish | null,
  facts: Promise<HostFacts>,
  { now }: CheckupOptions,
): Promise<Check[]> {
  const versions = attempt(whole('versions'), () => versionsLook(project, wish));
  const { check: services, value: stack } = await attemptWith(whole('services'), async () => {
    const here = await facts.catch(() => null);
    if (here?.docker === 'answers') return servicesLook(project, wish);
    return { look: { unknown: NO_ENGINE }, value: null };
  });
  const missing = wish === null ? NOT_INSTALLED : NO_STACK;
  const needing = (name: 'tasks' | 'certificate', look: (of: NonNullable<typeof stack>) => Promise<Look | Unknown>) =>
    attempt(whole(name), async () => (stack === null ? { unknown: missing } : look(stack)));
  return Promise.all([
    versions,
    services,
    needing('tasks', async ({ containers }) => tasksLook(wish, containers)),
    needing('certificate', ({ model }) => certificateLook(project, model, wish?.publicHost ?? '', now)),
  ]);
}

async function checkRegistries(wish: Wish | null, registries: Promise<RegistryView[]>): Promise<Check[]> {
  const { check, value: views } = await attemptWith(whole('registry'), async () => {
    const found = await registries;
    const looks = found.map(checkRegistry);
    const complaints = looks.flatMap((look) => look.complaints);
    const fact = looks[0]?.fact;
    return { look: fact === undefined ? { unknown: NOT_INSTALLED } : { fact, complaints }, value: found };
  });
  const answering = (views ?? []).filter(({ silence }) => silence === null);
  const missing = { unknown: wish === null ? NOT_INSTALLED : NO_REGISTRY };
  return [
    check,
    await attempt(whole('tags'), async () => (answering.length === 0 ? missing : checkTags(answering))),
    await attempt(whole('pulls'), async () =>
      answering.length === 0 ? missing : checkPulls(answering, wish?.matrix.length ?? 0),
    ),
  ];
}

async function registriesOf(wish: Wish | null, facts: HostFacts | null): Promise<RegistryView[]> {
  if (wish === null) return [];
  const { matrix, executor } = wish;
  const more = executor === null || matrix.includes(executor) || isBuiltHere(executor.reference) ? [] : [executor];
  return readRegistries([...matrix, ...more], facts?.mirrors ?? []);
}

/** Development mode builds images that no registry has. */
function isBuiltHere(reference: string): boolean {
  return reference.endsWith('-dev');
}

/** Nobody is nearer who knows the time: the registry says it with every answer. */
async function mainClockLook(registries: Promise<RegistryView[]>): Promise<Look | Unknown> {
  const view = (await registries.catch(() => [])).find(({ clock }) => clock !== null);
  if (view === undefined) return { unknown: NO_REGISTRY };
  return checkClock(view, { en: `that of ${view.registry}`, zh: ` ${view.registry} ` }, null);
}

function inventoryLook({ workers }: EveryHost, error: unknown): Look {
  if (error !== null) throw error;
  const count = workers.length;
  return { fact: { en: count === 1 ? '1 worker' : `${count} workers`, zh: `${count} 个 worker` }, complaints: [] };
}

function whole(name: Place['name']): Place {
  return { name, host: MAIN_HOST, whole: true };
}

function onMain(name: Place['name']): Place {
  return { name, host: MAIN_HOST, whole: false };
}
