import { pruneExecutors } from '../apply/prune.ts';
import { UserError } from '../domain/errors.ts';
import { choosePrunableRecords, type PruneRules } from '../domain/prunable.ts';
import { MAIN_ID } from '../domain/inventory.ts';
import { same, type Text } from '../domain/text.ts';
import { everyHost, type EveryHost } from '../observe/every-host.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { observePrune, pruneRules, type HostFindings } from '../observe/prune.ts';
import { readTaskRecords } from '../observe/tasks.ts';
import type { Json } from '../plan/plan.ts';
import { planPrune } from '../plan/prune.ts';
import { renderPruned, type PrunedHost } from '../ui/prune.ts';
import { perform, type Proposal } from './perform.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** So many hosts are looked at side by side. */
const PARALLEL = 32;

/** Removes old images of the matrix and ended tasks on all hosts; what one can go back to stays. */
export async function pruneCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  const { workers } = await readInventory(project);
  const hosts = everyHost(workers, keyRingOf(session, project));
  try {
    return await perform(session, project, 'prune', () => propose(session, project, hosts));
  } finally {
    await hosts.close();
  }
}

async function propose(session: Session, project: Project, hosts: EveryHost): Promise<Proposal> {
  const rules = await pruneRules(project, session.now());
  const findings = await observePrune(hosts, rules, PARALLEL);
  for (const finding of findings) if ('error' in finding) warnOf(session, finding.host.name, finding.error);
  const failed = new Map<string, UserError>();
  const executors = pruneExecutors(project, {
    connect: (worker) => connectionTo(hosts, worker?.id ?? null),
    failed: (host, error) => {
      failed.set(host, error);
      warnOf(session, host, error);
    },
  });
  const found = findings.flatMap((finding) => ('prune' in finding ? [finding.prune] : []));
  const tasks = new Map(
    findings.map((finding) => {
      const { worker } = finding.host;
      return [worker?.id ?? MAIN_ID, 'prune' in finding ? finding.prune.tasks : null];
    }),
  );
  const records = choosePrunableRecords(await readTaskRecords(project.state), tasks, rules);
  const plan = planPrune(
    rules.current,
    found,
    records.map(({ id }) => id),
  );
  return { plan, executors, report: () => report(session, hosts, rules, findings, failed) };
}

/** Looks again, and says what is true now: what was to go and has gone. */
async function report(
  session: Session,
  hosts: EveryHost,
  rules: PruneRules,
  before: readonly HostFindings[],
  failed: ReadonlyMap<string, UserError>,
): Promise<Report> {
  const after = before.every((each) => 'error' in each || isEmpty(each))
    ? before
    : await observePrune(hosts, rules, PARALLEL);
  const pruned = before.map((each, index) =>
    outcomeOf(each, after[index] ?? each, failed.get(each.host.name), session),
  );
  const result: Report = {
    data: { freed: pruned.reduce((sum, { freed }) => sum + freed, 0), hosts: pruned as unknown as Json },
    text: renderPruned(pruned, session.terminal.language, session.paint),
  };
  const wrong = pruned.filter(({ error, left }) => error !== null || left.length > 0);
  if (wrong.length === 0) return result;
  if (session.terminal.progress !== 'quiet') session.terminal.say(result.text ?? '');
  throw new ReportedFailure(partial(wrong, pruned.length), result);
}

function isEmpty(finding: HostFindings): boolean {
  return 'prune' in finding && finding.prune.images.length === 0 && finding.prune.containers.length === 0;
}

function outcomeOf(
  before: HostFindings,
  after: HostFindings,
  failure: UserError | undefined,
  { terminal }: Session,
): PrunedHost {
  const host = before.host.name;
  const error = 'error' in before ? before.error : (failure ?? ('error' in after ? after.error : null));
  if (error !== null || 'error' in before || 'error' in after) {
    const known = error instanceof UserError ? terminal.text(error.text) : String(error);
    return { host, images: [], containers: [], left: [], freed: 0, error: known };
  }
  const [wanted, still] = [before.prune, after.prune];
  return {
    host,
    images: wanted.images.filter((name) => !still.images.includes(name)),
    containers: wanted.containers
      .map(({ name }) => name)
      .filter((name) => !still.containers.some((each) => each.name === name)),
    left: still.images,
    freed: wanted.bytes - still.bytes,
    error: null,
  };
}

async function connectionTo(hosts: EveryHost, id: number | null) {
  const found = hosts.all.find(({ worker }) => (worker?.id ?? null) === id);
  if (found === undefined) throw new Error(`no host with id ${id}`);
  return found.connect();
}

function warnOf(session: Session, host: string, error: unknown): void {
  if (!(error instanceof UserError)) throw error;
  const hint = error.details.hint;
  session.warn({
    en: `${host} is left as it is: ${error.text.en}${hint === undefined ? '' : `; ${hint.en}`}`,
    zh: `${host} 保持原样:${error.text.zh}${hint === undefined ? '' : `;${hint.zh}`}`,
  });
}

/** Exit 3 while some hosts are right; with only the main server, its own reason. */
function partial(wrong: readonly PrunedHost[], total: number): UserError {
  const names = wrong.map(({ host }) => host).join(', ');
  const text: Text = {
    en: `${wrong.length} of ${total} hosts could not be cleaned up: ${names}`,
    zh: `${total} 台主机中有 ${wrong.length} 台未能清理:${names}`,
  };
  const hint: Text = same('xingrin prune');
  const evidence = wrong.map(({ host, error, left }) => `${host}: ${error ?? left.join(', ')}`).join('\n');
  return new UserError(wrong.length < total ? 'PARTIAL' : 'FAILED', text, { hint, evidence });
}
