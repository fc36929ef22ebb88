import stringWidth from 'string-width';
import { AGENT_CONTAINER } from '../argv/agent.ts';
import { fail, UserError } from '../domain/errors.ts';
import { parseFanOut, type FanOutFlags } from '../domain/fan-out.ts';
import { selectWorkers, type Worker } from '../domain/inventory.ts';
import { onEach, openFleet, type HostOutcome } from '../effects/fleet.ts';
import type { ExecResult } from '../effects/transport.ts';
import { readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import { printable } from '../ui/layout.ts';
import { tellInterrupted } from './recover.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';
import { keyRingOf } from './worker-access.ts';

export interface WorkerExecOptions extends FanOutFlags {
  readonly hosts?: string;
  readonly args: readonly string[];
}

/** Runs a program on many workers side by side; each line of output names its host. */
export async function workerExecCommand(session: Session, options: WorkerExecOptions): Promise<Report> {
  if (options.args.length === 0) {
    fail(
      'USAGE',
      { en: 'worker exec needs a program to run', zh: 'worker exec 需要要执行的程序' },
      {
        hint: {
          en: "xingrin worker exec --hosts 'eu-*' -- uptime",
          zh: "xingrin worker exec --hosts 'eu-*' -- uptime",
        },
      },
    );
  }
  return onWorkers(session, 'worker exec', options.hosts, options, options.args);
}

export interface WorkerLogsOptions extends FanOutFlags {
  readonly hosts?: string;
  readonly tail?: string;
}

/** What the agents of workers wrote last. */
export async function workerLogsCommand(session: Session, options: WorkerLogsOptions): Promise<Report> {
  const tail = options.tail ?? '50';
  if (!/^(\d{1,7}|all)$/.test(tail))
    fail('USAGE', { en: '--tail takes a whole number or "all"', zh: '--tail 须为整数或 all' });
  return onWorkers(session, 'worker logs', options.hosts, options, ['docker', 'logs', '--tail', tail, AGENT_CONTAINER]);
}

type Outcome = HostOutcome<Worker, ExecResult>;

async function onWorkers(
  session: Session,
  command: string,
  hosts: string | undefined,
  flags: FanOutFlags,
  argv: readonly string[],
): Promise<Report> {
  const { parallel, timeout } = parseFanOut(flags);
  const project = await openProject(session.globals.project);
  await tellInterrupted(session, project);
  const workers = selectWorkers(await readInventory(project), hosts);
  const { terminal, paint, globals, signal } = session;
  if (globals.dryRun) {
    const names = workers.map(({ name }) => printable(name));
    return { data: { hosts: names, argv: [...argv] }, text: names.join('\n') };
  }
  const width = Math.max(...workers.map(({ name }) => stringWidth(name)));
  const say = (worker: Worker, line: string): void => {
    if (globals.json) return;
    const space = ' '.repeat(width - stringWidth(worker.name));
    terminal.answer(`${paint.dim(`${printable(worker.name)}${space} |`)} ${printable(line)}`);
  };
  const fleet = openFleet(keyRingOf(session, project));
  try {
    const outcomes = await onEach(workers, parallel, async (worker) => {
      const connection = await fleet.connect(worker);
      return connection.exec(argv, { timeout, signal, onLine: (line) => say(worker, line) });
    });
    return reportOf(session, outcomes);
  } finally {
    await fleet.close();
  }
}

/** Exit 0 if it ended well everywhere, 3 if on some, 4 if no host could be reached, 1 if it failed on all. */
function reportOf(session: Session, outcomes: readonly Outcome[]): Report {
  const report: Report = { data: { hosts: outcomes.map((outcome) => dataOf(session, outcome)) } };
  const wrong = outcomes.filter((outcome) => failureOf(outcome) !== null);
  if (wrong.length === 0) return report;
  const lines = wrong.map((outcome) => {
    const reason = failureOf(outcome);
    return `${outcome.host.name}: ${reason === null ? '' : session.terminal.text(reason.text)}`;
  });
  const [first] = wrong;
  const only = outcomes.length === 1 && first !== undefined ? failureOf(first) : null;
  if (only !== null) throw new ReportedFailure(only, report);
  const allAway = outcomes.every((outcome) => 'error' in outcome);
  const code = wrong.length < outcomes.length ? 'PARTIAL' : allAway ? 'UNREACHABLE' : 'FAILED';
  const names = wrong.map(({ host }) => host.name).join(', ');
  const error = new UserError(
    code,
    {
      en: `it did not end well on ${wrong.length} of ${outcomes.length} workers: ${names}`,
      zh: `${outcomes.length} 台 worker 中有 ${wrong.length} 台未成功:${names}`,
    },
    { evidence: lines.join('\n') },
  );
  throw new ReportedFailure(error, report);
}

function failureOf(outcome: Outcome): UserError | null {
  if ('error' in outcome) {
    if (outcome.error instanceof UserError && outcome.error.code !== 'INTERRUPTED') return outcome.error;
    throw outcome.error;
  }
  const { code } = outcome.value;
  if (code === 0) return null;
  return new UserError(
    'FAILED',
    { en: `ended with code ${code}`, zh: `以代码 ${code} 退出` },
    { host: outcome.host.name },
  );
}

function dataOf(session: Session, outcome: Outcome) {
  const { name } = outcome.host;
  if ('value' in outcome) {
    const { code, stdout, stderr } = outcome.value;
    return { host: name, exitCode: code, stdout, stderr, error: null };
  }
  const { error } = outcome;
  const words = error instanceof UserError ? session.terminal.text(error.text) : String(error);
  return { host: name, exitCode: null, stdout: '', stderr: '', error: words };
}
