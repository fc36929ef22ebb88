import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { UserError, fail } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';
import { exists, readText } from '../effects/files.ts';
import { inspectHost, installHost, type HostPart } from '../effects/host-packages.ts';
import { whoAmI } from '../effects/identity.ts';
import { isOneFile, packageRoot } from '../effects/package-root.ts';
import { ACTS, planCleaning, planDemo, type Act } from '../plan/demo.ts';
import type { Json, Plan } from '../plan/plan.ts';
import { prepareBaseImages } from '../sandbox/base-images.ts';
import { renderActs, renderCleaning, renderDemoPlan, renderKept, type KeptShown } from '../ui/demo.ts';
import { displayFor, type Display } from '../ui/follow.ts';
import { hostPartName } from '../ui/host-parts.ts';
import { printable } from '../ui/layout.ts';
import { performAct } from './demo-acts.ts';
import { DEMO_IMAGES, keptDemos, openStage, removeDemo, type Stage } from './demo-stage.ts';
import { ask } from './perform.ts';
import { ReportedFailure, type Report, type Session } from './session.ts';

export interface DemoOptions {
  readonly keep?: boolean;
  readonly clean?: boolean;
}

interface ActDone extends Act {
  readonly proof: Text;
  /** Seconds without an answer from the front door, where they were counted. */
  readonly away: number | null;
  readonly seconds: number;
}

/** What the machine must have; what else the demo needs it unpacks for itself. */
const PARTS: readonly HostPart[] = ['engine', 'client', 'compose', 'buildx', 'git', 'iproute2', 'iptables'];

/** Walks the whole journey on this machine, on real parts that are its own, and removes them again. */
export async function demoCommand(session: Session, options: DemoOptions): Promise<Report> {
  await requireDebian();
  if (options.clean === true) return cleanUp(session);
  const missing = (await inspectHost(PARTS)).filter((part) => part.state !== 'present');
  const keep = options.keep === true;
  const plan = planDemo(missing.map(hostPartName), keep);
  const { terminal, paint } = session;
  const shown = renderDemoPlan(plan, terminal.language, paint);
  if (session.globals.dryRun) return { data: { acts: [] }, text: shown };
  await requireRoot();
  terminal.say(shown);
  await ask(session, { plan, question: { en: 'Begin?', zh: '开始吗?' } });
  if ((await keptDemos()).length > 0) {
    session.warn({
      en: 'a demo from before still runs; to remove it: xingrin demo --clean',
      zh: '之前保留的演示仍在运行;清除请执行 xingrin demo --clean',
    });
  }
  return perform(
    session,
    plan,
    missing.map(({ part }) => part),
    keep,
  );
}

/** Removes what `--keep` left running. */
async function cleanUp(session: Session): Promise<Report> {
  await requireRoot();
  const demos = await keptDemos();
  const { terminal, paint } = session;
  const plan = planCleaning(demos.map(({ folder }) => folder));
  if (demos.length === 0)
    return { data: { removed: [] }, text: terminal.text({ en: 'no demo is running', zh: '没有正在运行的演示' }) };
  const shown = renderCleaning(plan, terminal.language, paint);
  if (session.globals.dryRun) return { data: { removed: [] }, text: shown };
  terminal.say(shown);
  await ask(session, { plan, question: { en: 'Remove it?', zh: '确认清除吗?' } });
  const display = displayFor(plan, terminal, paint);
  for (const [step, demo] of demos.entries()) {
    display.follow({ type: 'started', step });
    await removeDemo(demo);
    display.follow({ type: 'done', step, outcome: 'done' });
  }
  await display.close();
  return {
    data: { removed: demos.map(({ folder }) => folder) },
    text: `${paint.good('✓')} ${terminal.text({ en: 'nothing of it is left', zh: '已全部清除' })}`,
  };
}

/** One performance, from an empty stage to an empty stage; with `keep`, the last scene is left as it is. */
async function perform(session: Session, plan: Plan, missing: readonly HostPart[], keep: boolean): Promise<Report> {
  const began = performance.now();
  const acts: ActDone[] = [];
  const display = displayFor(plan, session.terminal, session.paint);
  const next = sequence(session, display);
  let stage: Stage | null = null;
  try {
    stage = await build(session, missing, next);
    for (const act of ACTS) acts.push(await next(playing(session, act, stage), ({ proof }) => proof));
    const kept = keep ? await leave(stage) : null;
    if (!keep) await next(stage.close);
    await display.close();
    return reportOf(session, missing, acts, kept, performance.now() - began);
  } catch (error) {
    await display.close();
    if (stage !== null) {
      session.terminal.say(session.terminal.text({ en: 'removing the demo …', zh: '正在清除演示 …' }));
      await stage.close();
    }
    throw new ReportedFailure(stopOf(session.signal) ?? error, { data: { acts: acts.map(dataOf(session)) } });
  }
}

/** Runs the next step of the plan and shows it. What it says while it runs is a detail. */
type Next = <T>(work: (say: (line: string) => void) => Promise<T>, note?: (result: T) => Text) => Promise<T>;

function sequence({ signal, terminal, paint }: Session, { follow }: Display): Next {
  let count = 0;
  return async (work, note) => {
    const step = count;
    count += 1;
    follow({ type: 'started', step });
    const say = (line: string): void => {
      // The marks of plain progress: here a spinner tells the same.
      follow({ type: 'progress', step, progress: { detail: line.trim().replace(/^[·✓✗•] +/u, '') } });
      if (terminal.verbose && terminal.progress === 'plain') terminal.say(paint.dim(`    ${printable(line)}`));
    };
    try {
      const result = await work(say);
      throwIfStopped(signal);
      const words = note === undefined ? {} : { note: terminal.text(note(result)) };
      follow({ type: 'done', step, outcome: 'done', ...words });
      return result;
    } catch (error) {
      follow({ type: 'failed', step, error: stopOf(signal) ?? error });
      throw error;
    }
  };
}

async function build(session: Session, missing: readonly HostPart[], next: Next): Promise<Stage> {
  if (missing.length > 0) await next((say) => installHost(missing, say));
  await next(async (say) => {
    for (const image of DEMO_IMAGES) {
      throwIfStopped(session.signal);
      say(image);
      await prepareBaseImages([image]);
    }
  });
  let stage: Stage | null = null;
  try {
    return await next(async () => (stage = await openStage(session.terminal.language, session.signal)));
  } catch (error) {
    await (stage as Stage | null)?.close();
    throw error;
  }
}

/** An act; an operator who wants to stop does not wait for its end, which comes with that of the stage. */
function playing(
  session: Session,
  act: (typeof ACTS)[number],
  stage: Stage,
): (say: (line: string) => void) => Promise<ActDone> {
  return async (say) => {
    const began = performance.now();
    const { text: proof, away = null } = await untilStopped(session.signal, performAct(act, stage, say));
    return { ...act, proof, away, seconds: (performance.now() - began) / 1000 };
  };
}

function untilStopped<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(stopOf(signal));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function throwIfStopped(signal: AbortSignal): void {
  const stopped = stopOf(signal);
  if (stopped !== null) throw stopped;
}

function stopOf(signal: AbortSignal): UserError | null {
  if (!signal.aborted) return null;
  const code = signal.reason === 'SIGTERM' ? 'TERMINATED' : 'INTERRUPTED';
  return new UserError(code, { en: 'the demo was stopped', zh: '演示已停止' });
}

async function leave(stage: Stage): Promise<KeptShown> {
  const { address, port, project } = stage;
  const shell = await stage.keep();
  const { user } = whoAmI();
  return {
    address: `https://${address}:${port}/`,
    tunnel: `ssh -L ${port}:${address}:${port} ${user}@${hostname()}`,
    local: `https://localhost:${port}/`,
    projects: Object.values(project),
    shell: `. ${shell}`,
    remove: `${await ownName()} demo --clean`,
  };
}

/** How xingrin was called: by its name where the shell finds it, else by its path. */
async function ownName(): Promise<string> {
  const called = basename(process.argv[1] ?? '');
  return called === 'xingrin' ? called : join(await packageRoot(), 'bin', 'xingrin.js');
}

function reportOf(
  session: Session,
  installed: readonly HostPart[],
  acts: readonly ActDone[],
  kept: KeptShown | null,
  milliseconds: number,
): Report {
  const { terminal, paint } = session;
  const seconds = milliseconds / 1000;
  const text = [renderActs(acts, seconds, terminal.language, paint)];
  if (kept !== null) text.push(renderKept(kept, terminal.language, paint));
  return {
    data: {
      acts: acts.map(dataOf(session)),
      installed: [...installed],
      seconds: rounded(seconds),
      kept: kept === null ? null : { ...kept, projects: [...kept.projects] },
    },
    text: text.join('\n\n'),
  };
}

function dataOf({ terminal }: Session): (act: ActDone) => Json {
  return ({ name, place, typed, running, proof, away, seconds }) => ({
    act: name,
    place,
    typed,
    version: running,
    proof: terminal.text(proof),
    away,
    seconds: rounded(seconds),
  });
}

function rounded(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}

/** The base images and the registry come out of Debian packages. */
async function requireDebian(): Promise<void> {
  if (isOneFile()) {
    fail(
      'PRECONDITION',
      {
        en: 'the demo builds images with Node in them: it needs the npm package, not the single file',
        zh: '演示会构建含 Node 的镜像:需要 npm 软件包,单文件版无法运行',
      },
      { hint: same('npm install --global xingrin && sudo xingrin demo') },
    );
  }
  const release = (await readText('/etc/os-release')) ?? '';
  const debian = /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) && (await exists('/usr/bin/apt-get'));
  if (process.platform === 'linux' && debian && ['x64', 'arm64'].includes(process.arch)) return;
  fail(
    'PRECONDITION',
    {
      en: 'the demo makes its images out of Debian packages: it needs Debian or Ubuntu on x86-64 or arm64',
      zh: '演示用 Debian 软件包制作镜像:需要 x86-64 或 arm64 上的 Debian 或 Ubuntu',
    },
    { hint: { en: 'run it in a virtual machine with Debian 12', zh: '请在装有 Debian 12 的虚拟机中运行' } },
  );
}

async function requireRoot(): Promise<void> {
  if (process.getuid?.() === 0) return;
  const command = `sudo ${process.execPath} ${join(await packageRoot(), 'bin', 'xingrin.js')} demo`;
  fail(
    'PRECONDITION',
    {
      en: 'only root may start a Docker engine and a network of their own',
      zh: '只有 root 才能启动独立的 Docker 引擎和网络',
    },
    { hint: same(command) },
  );
}
