import { isDeepStrictEqual } from 'node:util';
import { resolve } from 'node:path';
import { fleetExecutors } from '../apply/fleet.ts';
import { workerExecutors, type WorkerAccess } from '../apply/workers.ts';
import { fail, UserError } from '../domain/errors.ts';
import {
  addressOf,
  nameFor,
  nextId,
  parseDestination,
  parseWorkerName,
  workerAt,
  workerNamed,
  type Endpoint,
  type Inventory,
  type Worker,
} from '../domain/inventory.ts';
import { inspectPrivateKey } from '../domain/private-key.ts';
import { quoted } from '../domain/quote.ts';
import { same, type Text } from '../domain/text.ts';
import { readText } from '../effects/files.ts';
import { openFleet } from '../effects/fleet.ts';
import { fingerprint } from '../effects/host-key.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import { localConnection } from '../effects/local-host.ts';
import { readPublicKey } from '../effects/project-key.ts';
import { askSecret, confirm } from '../effects/prompt.ts';
import { scanHostKey } from '../effects/ssh-node.ts';
import { readFirstLine } from '../effects/standard-input.ts';
import { hostKeyDiffers } from '../effects/transport.ts';
import { readHostFacts } from '../observe/host-facts.ts';
import { localWorkerName, readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { agentSpecFor } from '../observe/agent-spec.ts';
import { placeOf } from '../observe/ssh-place.ts';
import { readInstalled, type Installed } from '../observe/worker-images.ts';
import { observeWorkers } from '../observe/workers.ts';
import { allowDocker, checkHost, installDocker, pullOnWorker, swapAgent } from '../plan/fleet.ts';
import { MAIN_HOST, makePlan, type Step } from '../plan/plan.ts';
import { installKey, makeProjectKey, recordWorker } from '../plan/workers.ts';
import { workerData } from '../ui/workers.ts';
import { perform, type Proposal } from './perform.ts';
import type { Session } from './session.ts';
import type { Report } from './session.ts';
import { keyRingOf } from './worker-access.ts';

export interface WorkerAddOptions {
  /** `[user@]host[:port]` */
  readonly destination: string;
  readonly name?: string;
  /** Path of a private key. */
  readonly identity?: string;
  readonly passwordStdin?: boolean;
  /** `[user@]host[:port]`, several with commas: the way there. */
  readonly jump?: string;
  /** False: inventory only. */
  readonly bootstrap?: boolean;
  /** Install Docker there if it is missing. */
  readonly installDocker?: boolean;
}

/**
 * Adds a host to the fleet: pins its host key, lets the project's key in there, writes it into the inventory, brings its images and
 * its agent to the version of the main server.
 */
export async function workerAddCommand(session: Session, options: WorkerAddOptions): Promise<Report> {
  const project = await openProject(session.globals.project);
  const password = options.passwordStdin === true ? await readPassword(session) : undefined;
  const ring = keyRingOf(session, project, password);
  return perform(session, project, 'worker add', () => propose(session, project, options, ring));
}

async function propose(
  session: Session,
  project: Project,
  options: WorkerAddOptions,
  ring: KeyRing,
): Promise<Proposal> {
  const inventory = await readInventory(project);
  const installed = options.bootstrap === false ? null : await readInstalled(project);
  const key = options.identity === undefined ? null : resolve(options.identity);
  if (key !== null) await requireKey(key);
  if (options.name !== undefined) parseWorkerName(options.name);
  const place = placeOf(options.destination, key, options.jump);
  const existing = workerAt(inventory, place);
  const typed = parseDestination(options.destination).host;
  if (existing !== undefined && options.name !== undefined) requireSameName(existing, options.name, project);
  const name = existing?.name ?? (await freeName(project, inventory, options.name, typed));
  const way = await pinnedWay(session, inventory, name, existing?.jumps ?? place.jumps, ring);
  const known = existing === undefined ? undefined : { ...existing, identity: key ?? existing.identity };
  const asked: Worker = { ...(known ?? { ...place, id: nextId(inventory), name, hostKey: null }), jumps: way };
  const worker = { ...asked, hostKey: await shownKey(asked, ring) };
  // Whatever keeps agents from finding the server is told before anything is done.
  if (installed !== null) await agentSpecFor(project, worker, installed.version);
  const steps: Step[] = [];
  if (!(await letsKeyIn(project, worker, existing, ring))) {
    if ((await readPublicKey(project.keys)) === null) steps.push(makeProjectKey());
    steps.push(installKey(worker));
  }
  if (!isDeepStrictEqual(worker, existing)) steps.push(recordWorker(worker, fingerprint(worker.hostKey)));
  if (installed !== null) {
    const complete = existing !== undefined && steps.length === 0 && (await isComplete(existing, ring, installed));
    const mirrors = options.installDocker === true ? await mirrorsHere() : null;
    if (!complete) steps.push(...bootstrapSteps(worker, installed, mirrors));
  }
  const notes: Text[] = [];
  const access: WorkerAccess = { ring, warn: (text) => void notes.push(text) };
  return {
    plan: makePlan({
      command: 'worker add',
      from: existing === undefined ? null : name,
      to: name,
      commit: null,
      steps,
    }),
    executors: { ...workerExecutors(project, access), ...fleetExecutors(project, { ring, failed: () => {} }) },
    question: questionFor(worker),
    report: async () => {
      for (const note of notes) session.warn(note);
      return reportOf(session, worker, existing !== undefined && steps.length === 0);
    },
  };
}

/** Whether there is nothing to bring there: the agent is well, on the version, and beside the images. */
async function isComplete(worker: Worker, ring: KeyRing, installed: Installed): Promise<boolean> {
  const [seen] = await observeWorkers([worker], ring, installed);
  return seen !== undefined && seen.status === 'online' && seen.missing.length === 0;
}

/** Where the main server's engine looks for images of Docker Hub first. */
async function mirrorsHere(): Promise<readonly string[]> {
  return (await readHostFacts(localConnection(MAIN_HOST), [])).mirrors;
}

/** @param mirrors for an engine that is installed where there is none; null if none is to be installed */
function bootstrapSteps(
  worker: Worker,
  { version, images, platforms }: Installed,
  mirrors: readonly string[] | null,
): Step[] {
  return [
    checkHost(worker, mirrors !== null, platforms),
    ...(mirrors !== null ? [installDocker(worker, mirrors)] : worker.user === 'root' ? [] : [allowDocker(worker)]),
    ...images.map((image) => pullOnWorker(worker, image, { lax: false }, PULL)),
    swapAgent(worker, version, { lax: false }),
  ];
}

const PULL: Text = { en: 'pull images', zh: '拉取镜像' };

function reportOf({ terminal }: Session, worker: Worker, already: boolean): Report {
  const where = addressOf(worker);
  const text: Text = already
    ? {
        en: `${where} is worker ${worker.name} already; nothing was changed`,
        zh: `${where} 已是 worker ${worker.name},未做任何更改`,
      }
    : { en: `${where} is worker ${worker.name} now`, zh: `${where} 现已是 worker ${worker.name}` };
  return { data: { worker: workerData(worker, fingerprint) }, text: terminal.text(text) };
}

function questionFor(worker: Worker & { readonly hostKey: string }): Text {
  const [kind = ''] = worker.hostKey.split(' ');
  const shown = `${kind} ${fingerprint(worker.hostKey)}`;
  return {
    en: `${worker.host} shows the host key\n  ${shown}\n  Is it the right one, and shall this be done?`,
    zh: `${worker.host} 出示的主机密钥为\n  ${shown}\n  确认无误并执行以上计划吗?`,
  };
}

async function requireKey(path: string): Promise<void> {
  const text = await readText(path).catch(() => null);
  if (text !== null && inspectPrivateKey(text) !== null) return;
  fail(
    'BAD_INPUT',
    { en: `${path} is not a private key that we can read`, zh: `${path} 不是可读取的私钥` },
    {
      hint: {
        en: 'name another with --identity FILE; make one with: ssh-keygen',
        zh: '请用 --identity 指定其他私钥;可用 ssh-keygen 生成',
      },
    },
  );
}

async function freeName(
  project: Project,
  inventory: Inventory,
  wanted: string | undefined,
  host: string,
): Promise<string> {
  const local = await localWorkerName(project);
  if (wanted === undefined) return nameFor(host, inventory, [local]);
  const name = parseWorkerName(wanted);
  const taken = workerNamed(inventory, name);
  if (taken === undefined && name.toLowerCase() !== local.toLowerCase()) return name;
  const whose = taken === undefined ? { en: 'the main server itself', zh: '主服务器' } : same(addressOf(taken));
  return fail(
    'USAGE',
    { en: `the name ${quoted(name)} is that of ${whose.en}`, zh: `名称 ${quoted(name)} 已用于 ${whose.zh}` },
    { hint: { en: 'choose another with --name', zh: '请用 --name 指定其他名称' } },
  );
}

/** A worker's name is known to tasks and to the server: it is not changed in passing. */
function requireSameName(existing: Worker, wanted: string, { inventoryFile }: Project): void {
  if (existing.name.toLowerCase() === wanted.toLowerCase()) return;
  fail(
    'USAGE',
    {
      en: `${addressOf(existing)} is worker ${existing.name} already, not ${quoted(wanted)}`,
      zh: `${addressOf(existing)} 已是 worker ${existing.name},而非 ${quoted(wanted)}`,
    },
    {
      hint: {
        en: `leave --name out; to rename it, change its name in ${inventoryFile}`,
        zh: `请去掉 --name;如需改名,请修改 ${inventoryFile} 中的名称`,
      },
    },
  );
}

/** The way to a host with the host key of every server on it; of those that nobody has vouched for yet the operator is asked. */
async function pinnedWay(
  session: Session,
  inventory: Inventory,
  name: string,
  jumps: readonly Endpoint[],
  ring: KeyRing,
): Promise<Endpoint[]> {
  const known = inventory.workers.flatMap((worker) => [worker, ...worker.jumps]);
  const way: Endpoint[] = [];
  for (const jump of jumps) {
    const like = known.find(({ host, port, hostKey }) => host === jump.host && port === jump.port && hostKey !== null);
    const hostKey = jump.hostKey ?? like?.hostKey ?? null;
    const identity = jump.identity ?? like?.identity ?? null;
    const shown = hostKey ?? (await scanHostKey({ ...jump, name, jumps: way }, ring));
    if (hostKey === null) await vouch(session, jump, shown);
    way.push({ ...jump, identity, hostKey: shown });
  }
  return way;
}

/** Throws CONFIRMATION_NEEDED (exit 2) where nobody can be asked, DECLINED (130) where the answer is no. */
async function vouch({ globals, terminal, signal }: Session, jump: Endpoint, shown: string): Promise<void> {
  const [kind = ''] = shown.split(' ');
  const key = `${kind} ${fingerprint(shown)}`;
  if (globals.yes) {
    const text = {
      en: `on the way: ${addressOf(jump)} with the host key ${key}`,
      zh: `途经 ${addressOf(jump)},主机密钥 ${key}`,
    };
    return terminal.say(terminal.text(text));
  }
  if (!terminal.interactive) {
    fail(
      'CONFIRMATION_NEEDED',
      {
        en: `nobody can be asked whether ${key} is the host key of ${addressOf(jump)}`,
        zh: `当前无法询问 ${key} 是否为 ${addressOf(jump)} 的主机密钥`,
      },
      { hint: { en: 'compare it, then add --yes to worker add', zh: '核对无误后给 worker add 加上 --yes' } },
    );
  }
  const question = {
    en: `${addressOf(jump)}, on the way, shows the host key ${key}. Is it the right one?`,
    zh: `途经的 ${addressOf(jump)} 出示的主机密钥为 ${key},是否正确?`,
  };
  if (!(await confirm(terminal.text(question), terminal.language, signal)))
    fail('DECLINED', { en: 'nothing was changed', zh: '未做任何更改' });
}

/** The host key as the host shows it. Throws HOST_KEY (exit 4) if another one is pinned already. */
async function shownKey(worker: Worker, ring: KeyRing): Promise<string> {
  const shown = await scanHostKey(worker, ring);
  const { hostKey } = worker;
  if (hostKey === null || hostKey === shown) return shown;
  throw hostKeyDiffers(worker, worker, { pinned: fingerprint(hostKey), shown: fingerprint(shown) });
}

/** Whether the project's key opens this worker already. Of a host that nobody has vouched for yet nothing is asked. */
async function letsKeyIn(
  project: Project,
  worker: Worker,
  existing: Worker | undefined,
  ring: KeyRing,
): Promise<boolean> {
  if (existing === undefined || existing.hostKey === null) return false;
  if ((await readPublicKey(project.keys)) === null) return false;
  const fleet = openFleet(ring.ownOnly());
  try {
    await fleet.connect(worker);
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === 'AUTHENTICATION') return false;
    throw error;
  } finally {
    await fleet.close();
  }
}

async function readPassword({ terminal, signal }: Session): Promise<string> {
  const password = terminal.interactive
    ? await askSecret(terminal.text({ en: 'Password:', zh: '密码:' }), signal)
    : await readFirstLine();
  if (password !== null && password !== '') return password;
  return fail(
    'USAGE',
    {
      en: '--password-stdin needs a password on the first line of the input',
      zh: '--password-stdin 需要从标准输入的第一行读取密码',
    },
    {
      hint: {
        en: 'xingrin worker add HOST --password-stdin --yes < FILE',
        zh: 'xingrin worker add HOST --password-stdin --yes < 文件',
      },
    },
  );
}
