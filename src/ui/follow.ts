import { Listr, ListrLogger, ProcessOutput, type ListrTask } from 'listr2';
import type { ApplyEvent, Follower } from '../apply/apply.ts';
import type { Progress } from '../apply/step.ts';
import { UserError } from '../domain/errors.ts';
import type { Terminal } from '../effects/terminal.ts';
import { MAIN_HOST, wavesOf, type Plan } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { cut, printable, wrapped } from './layout.ts';

/** Steps of a wave that have a line each; more are one bar. */
const MANY = 12;

/** Columns of listr2's mark, which it counts as two wide, and of its margins. */
const MARK = 5;

/** Shows a plan being applied. `close` returns when the last word is on the screen. */
export interface Display {
  readonly follow: Follower;
  close(): Promise<void>;
}

export function displayFor(plan: Plan, terminal: Terminal, paint: Palette): Display {
  const back = backFollower(plan, terminal, paint);
  if (terminal.progress === 'quiet') return { follow: back, close: async () => {} };
  if (terminal.progress === 'json')
    return { follow: (event) => terminal.say(eventLine(plan, event)), close: async () => {} };
  return terminal.progress === 'tty'
    ? liveDisplay(plan, terminal, paint, back)
    : plainDisplay(plan, terminal, paint, back);
}

/** One line as a step begins and one as it ends: for pipes, logs and CI. */
function plainDisplay(plan: Plan, terminal: Terminal, paint: Palette, back: Follower): Display {
  const total = plan.steps.length;
  const since = new Map<number, number>();
  const line = (step: number, mark: string, tail = ''): void => {
    const number = String(step + 1).padStart(String(total).length);
    terminal.say(`${mark} [${number}/${total}] ${titleOf(plan, step, terminal)}${tail}`);
  };
  const follow: Follower = (event) => {
    if (event.type === 'started') {
      since.set(event.step, performance.now());
      line(event.step, paint.dim('·'));
    } else if (event.type === 'done') {
      const seconds = ((performance.now() - (since.get(event.step) ?? performance.now())) / 1000).toFixed(1);
      const words = {
        done: `${noteOf(event)} (${seconds}s)`,
        unchanged: unchanged(terminal),
        failed: failedWord(terminal),
      };
      line(event.step, event.outcome === 'failed' ? paint.bad('✗') : paint.good('✓'), paint.dim(words[event.outcome]));
    } else if (event.type === 'failed') {
      line(event.step, paint.bad('✗'), `: ${shortReason(event.error, terminal)}`);
    } else {
      back(event);
    }
  };
  return { follow, close: async () => {} };
}

/** The whole plan with spinners, each step ticked off as it is done. */
function liveDisplay(plan: Plan, terminal: Terminal, paint: Palette, back: Follower): Display {
  const ends = plan.steps.map(() => deferred());
  const output = new Map<number, (words: string) => void>();
  const notes = new Map<number, string>();
  const failed = new Set<number>();

  // Where a line is to break is decided here: listr2 breaks Chinese anywhere, also within a name.
  const screen = Math.min(terminal.columns, process.stdout.columns ?? terminal.columns);
  const lines = (text: string, level: number): string => wrapped(text, screen - 2 * level - MARK).join('\n');

  const taskOf = (step: number, level: number): ListrTask => ({
    title: lines(titleOf(plan, step, terminal), level),
    task: async (_context, task) => {
      output.set(step, (words) => (task.output = words));
      await ends[step]?.promise;
      const note = notes.get(step);
      if (note === undefined) return;
      task.title = lines(`${titleOf(plan, step, terminal)}${paint.dim(note)}`, level);
      if (failed.has(step)) task.skip();
    },
  });
  /** So many steps side by side that one bar says more than a line each. */
  const barOf = (wave: readonly number[], title: string): ListrTask => ({
    title,
    task: async (_context, task) => {
      let over = 0;
      let last = '';
      const show = (): void => {
        task.output = cut(`${bar(over / wave.length)} ${over}/${wave.length} ${last}`, screen - 6);
      };
      const all = wave.map(async (step) => {
        output.set(step, (words) => {
          last = `${printable(plan.steps[step]?.host ?? '')}: ${words}`;
          show();
        });
        try {
          await ends[step]?.promise;
        } finally {
          over += 1;
          show();
        }
      });
      show();
      const broken = (await Promise.allSettled(all)).find((each) => each.status === 'rejected');
      if (broken !== undefined) throw broken.reason;
      const hosts = [...new Set(wave.filter((step) => failed.has(step)).map((step) => plan.steps[step]?.host ?? ''))];
      if (hosts.length === 0) return;
      task.title = lines(`${title}${paint.dim(failedWord(terminal))}: ${hosts.map(printable).join(', ')}`, 0);
      task.skip();
    },
  });
  const tasks = wavesOf(plan).map((wave): ListrTask => {
    const [first = 0] = wave;
    const title = plan.steps[first]?.wave;
    if (wave.length === 1 || title === undefined) return taskOf(first, 0);
    if (wave.length > MANY) return barOf(wave, terminal.text(title));
    return {
      title: terminal.text(title),
      task: (_context, task) =>
        task.newListr(
          wave.map((step) => taskOf(step, 1)),
          { concurrent: true, exitOnError: false },
        ),
    };
  });
  const list = new Listr(tasks, {
    exitOnError: true,
    renderer: 'default',
    rendererOptions: {
      collapseErrors: false,
      collapseSubtasks: false,
      showErrorMessage: false,
      suffixSkips: false,
      // stdout is for the answer.
      logger: new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) }),
    },
    fallbackRendererCondition: false,
    silentRendererCondition: false,
    // Signals are ours: an interrupted apply undoes what it began.
    registerSignalListeners: false,
  });
  const shown = list.run().then(
    () => {},
    () => {},
  );
  const settle = (step: number, error?: Error): void => {
    // A task that has ended must not be written to any more.
    output.delete(step);
    if (error === undefined) ends[step]?.resolve();
    else ends[step]?.reject(error);
  };
  const shut = (): void => plan.steps.forEach((_step, step) => settle(step, new Error('not reached')));
  const follow: Follower = (event) => {
    switch (event.type) {
      case 'started':
        return;
      case 'progress':
        return output.get(event.step)?.(progressWords(event.progress, terminal));
      case 'done':
        if (event.outcome === 'failed') failed.add(event.step);
        if (event.outcome === 'failed') notes.set(event.step, failedWord(terminal));
        else if (event.outcome === 'unchanged') notes.set(event.step, unchanged(terminal));
        else if (event.note !== undefined) notes.set(event.step, noteOf(event));
        return settle(event.step);
      case 'failed':
        return settle(event.step, new Error(shortReason(event.error, terminal)));
      default:
        shut();
        return back(event);
    }
  };
  // A step whose task never began must not be an unhandled rejection.
  for (const end of ends) end.promise.catch(() => {});
  return {
    follow,
    async close() {
      shut();
      await shown;
    },
  };
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function deferred(): Deferred {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** The way back, told line by line in every mode. */
function backFollower(plan: Plan, terminal: Terminal, paint: Palette): Follower {
  return (event) => {
    const undone = plan.steps[event.step]?.undone;
    if (event.type === 'undone' && undone !== undefined) terminal.say(`${paint.caution('↩')} ${terminal.text(undone)}`);
    if (event.type === 'undo-failed') {
      const words = terminal.language === 'zh' ? '无法撤销' : 'could not undo';
      terminal.warn(
        `${paint.bad('✗')} ${words}: ${titleOf(plan, event.step, terminal)}: ${shortReason(event.error, terminal)}`,
      );
    }
  };
}

function titleOf(plan: Plan, step: number, terminal: Terminal): string {
  const found = plan.steps[step];
  if (found === undefined) return '';
  const where = found.host === MAIN_HOST ? '' : `${found.host}: `;
  return printable(`${where}${terminal.text(found.title)}`);
}

function noteOf({ note }: { readonly note?: string }): string {
  return note === undefined ? '' : `  ${printable(note)}`;
}

function failedWord(terminal: Terminal): string {
  return terminal.language === 'zh' ? '(失败)' : ' (failed)';
}

function unchanged(terminal: Terminal): string {
  return terminal.language === 'zh' ? '(无变化)' : ' (unchanged)';
}

function progressWords(progress: Progress, terminal: Terminal): string {
  const { done, total, unit, detail } = progress;
  const amount =
    done === undefined || total === undefined || total === 0
      ? unit === 'bytes' && done !== undefined && done > 0
        ? `${megabytes(done)} MB `
        : ''
      : unit === 'bytes'
        ? `${bar(done / total)} ${megabytes(done)} / ${megabytes(total)} MB `
        : `${bar(done / total)} ${done}/${total} `;
  return cut(amount + printable(detail ?? ''), terminal.columns - 6);
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * 16);
  return '█'.repeat(filled) + '░'.repeat(16 - filled);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

function shortReason(error: unknown, terminal: Terminal): string {
  if (error instanceof UserError) return printable(terminal.text(error.text));
  return printable(error instanceof Error ? error.message : String(error));
}

function eventLine(plan: Plan, event: ApplyEvent): string {
  const step = plan.steps[event.step];
  const error =
    'error' in event ? { error: event.error instanceof Error ? event.error.message : String(event.error) } : {};
  const extra =
    event.type === 'progress'
      ? { progress: event.progress }
      : event.type === 'done'
        ? { outcome: event.outcome, ...(event.note === undefined ? {} : { note: event.note }) }
        : error;
  return JSON.stringify({ event: event.type, step: event.step, kind: step?.kind, host: step?.host, ...extra });
}
