import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyPlan, recoverOperations, type Recovery } from '../../../src/apply/apply.ts';
import { Journal, unfinishedOperations } from '../../../src/apply/journal.ts';
import { executor, type Executors } from '../../../src/apply/step.ts';
import { makePlan } from '../../../src/plan/plan.ts';

/** A world of three values. `run` is brought back from what `files` and `env` say, as services are from docker/.env. */
interface World {
  files: string;
  env: string;
  run: string;
}
const OLD: World = { files: 'old', env: 'old', run: 'old/old' };
const NEW: World = { files: 'new', env: 'new', run: 'new/new' };

let folder: string;
let world: World;
/** What does not work at the moment. */
let broken: Set<string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-journal-'));
  world = { ...OLD };
  broken = new Set();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function must(work: string): void {
  if (broken.has(work)) throw new Error(`${work} does not work`);
}

function setter(name: 'files' | 'env') {
  return executor<null, string>({
    before: async () => world[name],
    async apply() {
      must(`set ${name}`);
      world[name] = 'new';
      return 'done';
    },
    async undo(_params, memo) {
      must(`put back ${name}`);
      world[name] = memo;
    },
  });
}

const EXECUTORS: Executors = {
  hold: executor<null>({
    apply: async () => 'done',
    async undo() {
      must('bring back');
      world.run = `${world.files}/${world.env}`;
    },
  }),
  files: setter('files'),
  env: setter('env'),
  run: executor<null>({
    async apply() {
      must('run');
      world.run = `${world.files}/${world.env}`;
      return 'done';
    },
  }),
  record: executor<null>({ commits: true, apply: async () => 'done' }),
  after: executor<null>({ apply: async () => 'done' }),
};

const PLAN = makePlan({
  command: 'update',
  from: 'old',
  to: 'new',
  commit: null,
  steps: Object.keys(EXECUTORS).map((kind) => ({ kind, title: { en: kind, zh: kind }, host: 'main', params: null })),
});

const apply = () =>
  applyPlan(PLAN, EXECUTORS, {
    folder,
    process: 'first',
    now: () => new Date(0),
    signal: new AbortController().signal,
    follow: () => {},
  });

function recover(): Promise<Recovery[]> {
  return recoverOperations({
    folder,
    process: 'second',
    executors: EXECUTORS,
    endOrphans: async () => {},
    onBegin: () => () => {},
  });
}

async function journalFile(): Promise<string> {
  return join(folder, (await readdir(folder))[0] ?? '');
}

describe('an operation that was cut short', () => {
  test('at any byte of its journal: recovery brings one of the two ends, whatever the step had done, and then is content', async () => {
    await apply();
    const whole = await readFile(await journalFile(), 'utf8');
    const path = await journalFile();
    const lines = whole.split('\n');
    let offset = 0;
    for (const [index, line] of lines.slice(0, -1).entries()) {
      // Cut within the line, at its very end without the line end, and after it.
      for (const length of [0, Math.floor(line.length / 2), line.length, line.length + 1]) {
        const text = whole.slice(0, offset + length);
        const written = text.split('\n').slice(0, -1);
        const begun = new Set(
          written
            .map((each) => JSON.parse(each) as { type: string; step?: number })
            .filter(({ type }) => type === 'start')
            .map(({ step }) => PLAN.steps[step ?? -1]?.kind),
        );
        for (const effect of [true, false]) {
          // What began has had its effect, `run` perhaps not yet.
          world = { ...OLD };
          if (begun.has('files')) world.files = 'new';
          if (begun.has('env')) world.env = 'new';
          if (begun.has('run') && (effect || text.includes('"type":"done","step":3'))) world.run = 'new/new';
          await writeFile(path, text);
          const recorded = written.some((each) => each.includes('"type":"done","step":4'));
          const outcomes = (await recover()).map(({ outcome }) => outcome);
          const ended = written.some((each) => each.includes('"type":"end"'));
          expect(outcomes, `${index}`).toEqual(written.length === 0 || ended ? [] : [recorded ? 'done' : 'undone']);
          if (written.length > 0) expect(world).toEqual(recorded ? NEW : OLD);
          expect(await recover()).toEqual([]);
        }
      }
      offset += line.length + 1;
    }
    expect(lines.length).toBeGreaterThan(13);
  });

  test('a torn line in the middle, as a full disk leaves it, is overlooked', async () => {
    broken.add('run');
    await apply();
    const path = await journalFile();
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, [...lines.slice(0, 5), '{"type":"do', ...lines.slice(5, 7), ''].join('\n'));
    world = { ...NEW, run: 'old/old' };
    broken.clear();
    expect((await recover()).map(({ outcome }) => outcome)).toEqual(['undone']);
    expect(world).toEqual(OLD);
  });
});

describe('an undo that fails', () => {
  test('leaves everything that depends on it to the next recovery', async () => {
    for (const work of ['run', 'put back env']) broken.add(work);
    expect(await apply()).toMatchObject({ outcome: 'stuck' });
    // The services came back as the half-restored files say; that must not count.
    expect(world).toEqual({ files: 'old', env: 'new', run: 'old/new' });
    expect((await recover()).map(({ outcome }) => outcome)).toEqual(['stuck']);
    broken.clear();
    expect((await recover()).map(({ outcome }) => outcome)).toEqual(['undone']);
    expect(world).toEqual(OLD);
    expect(await recover()).toEqual([]);
  });

  test('for ever can be abandoned', async () => {
    for (const work of ['run', 'bring back']) broken.add(work);
    await apply();
    const [operation] = await unfinishedOperations(folder);
    if (operation === undefined) throw new Error('nothing is unfinished');
    await (await Journal.resume(folder, operation, 'third')).end('abandoned');
    expect(await unfinishedOperations(folder)).toEqual([]);
    expect(await recover()).toEqual([]);
  });
});
