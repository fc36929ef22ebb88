import type { Load, ProgramCost } from './accounting.ts';

/** How long something took, in milliseconds. */
export interface FileTime {
  readonly file: string;
  readonly duration: number;
  readonly tests: readonly { readonly name: string; readonly duration: number }[];
}

/** Where the time of a run went. */
export interface Proof {
  readonly parts: readonly { readonly part: string; readonly duration: number }[];
  readonly files: readonly FileTime[];
  /** Or why they are not known. */
  readonly programs: readonly ProgramCost[] | string;
  readonly load: Load;
}

/** How many of the slowest tests, and of the most expensive programs, are named. */
const NAMED = { tests: 10, programs: 20 } as const;

/** Markdown that reads well in a terminal too. */
export function renderProof({ parts, files, programs, load }: Proof): string {
  const everything = parts.reduce((sum, { duration }) => sum + duration, 0);
  const tests = files.flatMap(({ file, tests: own }) => own.map((test) => ({ ...test, file })));
  const slowest = tests.toSorted(longestFirst).slice(0, NAMED.tests);
  return [
    section(
      'Time by part',
      ['part', 'minutes'],
      [...parts, { part: 'everything', duration: everything }].map(({ part, duration }) => [part, minutes(duration)]),
    ),
    `The ${load.processors} processors were ${percent(load.busy)} busy; in ${percent(load.full)} of the seconds none of them had time left.\n`,
    section(
      'Time by file',
      ['file', 'minutes'],
      files.toSorted(longestFirst).map(({ file, duration }) => [file, minutes(duration)]),
    ),
    section(
      'The slowest tests',
      ['file', 'seconds', 'test'],
      slowest.map(({ name, file, duration }) => [file, (duration / 1_000).toFixed(0), name]),
    ),
    typeof programs === 'string'
      ? `Processor time by program is not known: ${programs}\n`
      : section('Processor time by program', ['program', 'starts', 'seconds', 'ms a start'], programRows(programs)),
  ].join('\n');
}

function programRows(programs: readonly ProgramCost[]): string[][] {
  const rest = programs.slice(NAMED.programs);
  const others = rest.reduce(
    (sum, { starts, seconds }) => ({ ...sum, starts: sum.starts + starts, seconds: sum.seconds + seconds }),
    { program: 'all others', starts: 0, seconds: 0 },
  );
  return [...programs.slice(0, NAMED.programs), ...(others.starts === 0 ? [] : [others])].map(
    ({ program, starts, seconds }) => [
      program,
      String(starts),
      seconds.toFixed(0),
      ((seconds / starts) * 1_000).toFixed(0),
    ],
  );
}

/** A heading and a table; numbers stand to the right. */
function section(title: string, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [heads, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  const columns = heads.map((_, column) => ({
    width: Math.max(...cells.map((row) => row[column]?.length ?? 0)),
    right: rows.every((row) => /^[\d.]+$/.test(row[column] ?? '')),
  }));
  const line = (row: readonly string[]): string =>
    `| ${columns.map(({ width, right }, column) => (right ? row[column]?.padStart(width) : row[column]?.padEnd(width))).join(' | ')} |`;
  const rule = columns.map(({ width, right }) => `-${'-'.repeat(width)}${right ? ':' : '-'}`);
  const [head = [], ...body] = cells;
  return `### ${title}\n\n${[line(head), `|${rule.join('|')}|`, ...body.map(line)].join('\n')}\n`;
}

function longestFirst(a: { readonly duration: number }, b: { readonly duration: number }): number {
  return b.duration - a.duration;
}

function minutes(milliseconds: number): string {
  return (milliseconds / 60_000).toFixed(1);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
