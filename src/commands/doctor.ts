import { doctorExecutors } from '../apply/doctor.ts';
import { unfinishedOperations, type Operation } from '../apply/journal.ts';
import { lockHolder } from '../apply/lock.ts';
import type { OperationFacts } from '../domain/check-project.ts';
import { findingsOf, type Check, type Finding } from '../domain/checkup.ts';
import { UserError } from '../domain/errors.ts';
import type { Inventory } from '../domain/inventory.ts';
import { observeCheckup } from '../observe/checkup.ts';
import { everyHost, type EveryHost } from '../observe/every-host.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject, type Project } from '../observe/project.ts';
import { MAIN_HOST, type Json } from '../plan/plan.ts';
import { planDoctor } from '../plan/doctor.ts';
import { renderCheckup } from '../ui/checkup.ts';
import { LOOKING, perform, type Proposal } from './perform.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

/** So many hosts are looked at side by side. */
const PARALLEL = 32;

export interface DoctorOptions {
  /** Mend what can be mended without taking anything away. */
  readonly fix?: boolean;
}

/** Looks whether all is well on every host; says of each thing that is not why it matters and what mends it. */
export async function doctorCommand(session: Session, { fix = false }: DoctorOptions): Promise<Report> {
  const project = await openProject(session.globals.project);
  const { workers, error } = await inventoryOf(project);
  const hosts = everyHost(workers, keyRingOf(session, project));
  const look = (): Promise<Check[]> =>
    observeCheckup(project, hosts, {
      operations: () => operationsOf(project, fix),
      inventoryError: error,
      now: session.now(),
      parallel: PARALLEL,
    });
  try {
    if (!fix) return conclude(session, await session.terminal.waiting(LOOKING, look));
    return await perform(session, project, 'doctor', async () => propose(session, project, hosts, await look(), look));
  } finally {
    await hosts.close();
  }
}

/** A damaged inventory is one of the findings. */
async function inventoryOf(
  project: Project,
): Promise<Pick<Inventory, 'workers'> & { readonly error: UserError | null }> {
  try {
    const { workers } = await readInventory(project);
    return { workers, error: null };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { workers: [], error };
  }
}

/** @param ours whether the operation at work is this one */
async function operationsOf(project: Project, ours: boolean): Promise<OperationFacts> {
  const running = ours ? null : await lockHolder(project.state);
  const interrupted = running === null && !ours ? await unfinishedOperations(project.journal) : [];
  return { running, interrupted: interrupted.map((each) => ({ what: nameOf(each), at: each.at })) };
}

function nameOf({ plan }: Operation): string {
  const { command, from, to } = plan;
  return from === to ? `${command} ${to ?? ''}`.trim() : `${command} ${from ?? '∅'} → ${to ?? '∅'}`;
}

function propose(
  session: Session,
  project: Project,
  hosts: EveryHost,
  checks: readonly Check[],
  look: () => Promise<Check[]>,
): Proposal {
  const current = checks.find(({ name }) => name === 'versions')?.fact.en ?? null;
  const plan = planDoctor(
    current,
    findingsOf(checks),
    hosts.workers.map(({ worker }) => worker),
  );
  return {
    plan,
    executors: doctorExecutors(project, {
      async connect(worker) {
        const found = hosts.all.find((host) => (host.worker?.id ?? null) === (worker?.id ?? null));
        if (found === undefined) throw new Error(`no host for worker ${worker?.id ?? null}`);
        return found.connect();
      },
      failed: (host, error) => session.warn({ en: `${host}: ${error.text.en}`, zh: `${host}:${error.text.zh}` }),
    }),
    report: async () => conclude(session, plan.steps.length === 0 ? checks : await look()),
  };
}

/** Exit 0 only if all is well; 3 if all is well but for workers. */
function conclude(session: Session, checks: readonly Check[]): Report {
  const { terminal, paint, globals } = session;
  const findings = findingsOf(checks);
  const text = renderCheckup(checks, findings, terminal.columns, terminal.language, paint);
  const report: Report = { data: dataOf(checks, findings, session), text };
  if (findings.length === 0) return report;
  if (!globals.json) terminal.answer(text);
  const count = findings.length;
  const onlyWorkers = findings.every(({ host }) => host !== MAIN_HOST);
  const error = new UserError(
    onlyWorkers ? 'PARTIAL' : 'UNWELL',
    { en: `not all is well: ${count} ${count === 1 ? 'finding' : 'findings'}`, zh: `存在 ${count} 项问题` },
    findings.some(({ fix }) => fix !== undefined)
      ? { hint: { en: 'xingrin doctor --fix', zh: 'xingrin doctor --fix' } }
      : {},
  );
  throw new ReportedFailure(error, report);
}

function dataOf(checks: readonly Check[], findings: readonly Finding[], { terminal }: Session): Report['data'] {
  const shown = ({ name, mark, fact }: Check): Json => ({ check: name, mark, fact: terminal.text(fact) });
  const hosts = [...new Set(checks.map(({ host }) => host))];
  return {
    installation: checks.filter(({ whole }) => whole).map(shown),
    hosts: hosts.map((host) => ({
      host,
      checks: checks.filter((each) => each.host === host && !each.whole).map(shown),
    })),
    findings: findings.map(({ code, check, host, grave, seen, why, mend, fix }) => ({
      code,
      check,
      host,
      grave,
      seen: terminal.text(seen),
      why: terminal.text(why),
      mend: terminal.text(mend),
      fixable: fix !== undefined,
    })),
  };
}
