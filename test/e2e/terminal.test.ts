import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import stringWidth from 'string-width';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPlainPlace, type PlainPlace } from './plain.ts';
import { ENTRY } from './rig.ts';

let place: PlainPlace;
let envFile: string;
let inventory: string;

beforeAll(async () => {
  place = await openPlainPlace();
  envFile = join(place.project, 'docker/.env');
  inventory = join(place.project, '.xingrin/inventory.yaml');
  await writeFile(envFile, 'IMAGE_TAG=v1.0.0\nDB_PASSWORD=secret-of-the-test\n');
  await mkdir(join(place.project, '.xingrin'), { recursive: true });
  await writeFile(inventory, workers(['eu-1', 2], ['eu-2', 3]));
});
afterAll(() => place?.close());

function workers(...list: (readonly [name: string, id: number])[]): string {
  const entries = list.map(([name, id]) => `  - id: ${id}\n    name: ${name}\n    host: 192.0.2.${id}\n`);
  return `workers:\n${entries.join('')}`;
}

/** In a real terminal of so many columns: what it shows, with its escape sequences. */
async function inTerminal(columns: number, args: readonly string[], term = 'xterm'): Promise<string> {
  const script = 'stty cols "$COLS"; exec "$NODE" "$ENTRY" $ARGS';
  const env = { NODE: process.execPath, ENTRY, ARGS: args.join(' '), COLS: String(columns), TERM: term };
  const { stdout } = await place.run(['script', '--quiet', '--return', '--command', script, '/dev/null'], { env });
  return stdout;
}

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g;

describe('terminals', () => {
  test.each([
    ['en', ['--help']],
    ['zh', ['--help']],
    ['zh', ['worker', 'add', '--help']],
  ])('the help fits 40 columns (%s %j)', async (language, args) => {
    const shown = (await inTerminal(40, ['--lang', language, ...args])).replace(ESCAPES, '');
    const lines = shown.split(/\r?\n/);
    expect(lines.length).toBeGreaterThan(10);
    // What is to be typed is not broken.
    const long = lines.filter((line) => stringWidth(line) > 40 && !/^(Usage|用法): /.test(line));
    expect(long).toEqual([]);
  });

  test('colours in a terminal; none in a dumb one, with NO_COLOR, or where nobody looks', async () => {
    const args = ['backup', 'list', 'nothing'];
    expect(await inTerminal(80, args)).toContain('\u001b[');
    expect(await inTerminal(80, args, 'dumb')).not.toContain('\u001b[');
    expect(await inTerminal(80, ['--no-color', ...args])).not.toContain('\u001b[');
    const { stderr, exitCode } = await place.xingrin(args);
    expect([exitCode, stderr.includes('\u001b[')]).toEqual([2, false]);
  });

  test('without a terminal nobody is asked: the flag that is missing is named', async () => {
    await place.xingrin(['backup', 'create']);
    await writeFile(envFile, 'IMAGE_TAG=v1.1.0\n');
    const { exitCode, stderr } = await place.xingrin(['backup', 'restore']);
    expect([exitCode, stderr.includes('--yes')]).toEqual([2, true]);
    expect(await readFile(envFile, 'utf8')).toBe('IMAGE_TAG=v1.1.0\n');
    expect((await place.xingrin(['backup', 'restore', '--yes'])).exitCode).toBe(0);
    expect(await readFile(envFile, 'utf8')).toContain('IMAGE_TAG=v1.0.0');
  });

  test('the language is that of the locale unless --lang says another', async () => {
    const said = async (env: Record<string, string | undefined>, ...args: string[]) =>
      (await place.xingrin([...args, 'history'], { env })).stdout;
    expect(await said({ LANG: 'C' })).toContain('nothing was deployed yet');
    expect(await said({ LANG: undefined })).toContain('nothing was deployed yet');
    expect(await said({ LANG: 'zh_CN.UTF-8' })).toContain('还没有部署记录');
    expect(await said({ LANG: 'zh_CN.UTF-8', LC_ALL: 'C' })).toContain('nothing was deployed yet');
    expect(await said({ LANG: 'C' }, '--lang', 'zh')).toContain('还没有部署记录');
  });

  test.each([
    ['no HOME', { HOME: undefined }],
    ['a home that nobody can write to', { HOME: '/proc' }],
    ['an empty environment', { HOME: undefined, LANG: undefined, TERM: undefined }],
  ])('works with %s', async (_what, env) => {
    for (const args of [['backup', 'create'], ['worker', 'list'], ['lock'], ['config', 'show']]) {
      const { exitCode, stdout, stderr } = await place.xingrin([...args, '--json'], { env });
      expect([args.join(' '), exitCode, JSON.parse(stdout).ok], stderr).toEqual([args.join(' '), 0, true]);
    }
  });

  test.each(['config schema', 'schema', '--help', 'backup list --json', 'nonsense --json'])(
    'a reader that goes away is no crash: %s',
    async (words) => {
      const script = `set -o pipefail; "$NODE" "$ENTRY" ${words} | head --bytes=1 >/dev/null; echo \${PIPESTATUS[0]}`;
      const { stdout, stderr } = await place.run(['bash', '-c', script], { env: { NODE: process.execPath, ENTRY } });
      expect(['0', '2']).toContain(stdout.trim());
      expect(stderr).not.toMatch(/EPIPE|at .*\.js/);
    },
  );
});

describe('the command line', () => {
  const usage = async (...args: string[]): Promise<string> => {
    const { exitCode, stderr, stdout } = await place.xingrin(args);
    expect([exitCode, stdout]).toEqual([2, '']);
    return stderr;
  };

  test('a word that is near to one that is known', async () => {
    expect(await usage('updaet')).toContain('did you mean update?');
    expect(await usage('--lang', 'zh', 'updaet')).toMatch(/没有命令 updaet\n.*是否想输入 update/);
    expect(await usage('worker', 'sho', 'x')).toContain('did you mean show?');
    expect(await usage('update', '--dyr-run')).toContain('did you mean --dry-run?');
    expect(await usage('--lang', 'zh', 'update', '--dyr-run')).toContain('没有选项 --dyr-run');
    expect(await usage('something')).toContain('xingrin --help');
  });

  test('a flag with two values, with none, with one that is not allowed; words too many', async () => {
    expect(await usage('--lang', 'en', '--lang', 'zh', 'status')).toContain('given twice');
    expect(await usage('-C', 'one', '--project', 'two', 'status')).toContain('given twice');
    expect(await usage('install', '--version', 'v1.0.0', '--version=v1.1.0')).toContain('given twice');
    expect((await place.xingrin(['--lang', 'en', '--lang', 'en', 'history'])).exitCode).toBe(0);
    expect(await usage('task', 'run', '--worker')).toContain('--worker');
    expect(await usage('--progress', 'loud', 'status')).toContain('tty');
    expect(await usage('stop', 'it')).toContain('too many arguments');
  });

  test('is refused in a document, too', async () => {
    const { stdout, exitCode } = await place.xingrin(['updaet', '--json']);
    const error = { code: 'USAGE', hint: 'did you mean update?' };
    expect([exitCode, JSON.parse(stdout)]).toEqual([
      2,
      expect.objectContaining({ error: expect.objectContaining(error) }),
    ]);
  });
});

describe('what is damaged or full', () => {
  test('a corrupt history or inventory is named with its file and what to do; what does not need it goes on', async () => {
    const history = join(place.project, '.xingrin/history.json');
    await writeFile(history, '{"schema":');
    const { exitCode, stderr } = await place.xingrin(['history']);
    expect([exitCode, stderr.includes(history), stderr.includes('journal')]).toEqual([2, true, true]);
    expect((await place.xingrin(['backup', 'list'])).exitCode).toBe(0);
    await rm(history);

    const whole = await readFile(inventory, 'utf8');
    await place.xingrin(['backup', 'create']);
    await writeFile(inventory, whole.replace('id: 3', 'id: three'));
    const list = await place.xingrin(['worker', 'list']);
    expect([list.exitCode, list.stderr.includes('inventory.yaml')]).toEqual([2, true]);
    expect(list.stderr).toContain('xingrin backup restore');
    const kept = (await readdir(join(place.project, '.xingrin/backups'))).find((name) => name.startsWith('inventory-'));
    expect((await place.xingrin(['backup', 'restore', String(kept), '--yes'])).exitCode).toBe(0);
    expect(JSON.parse((await place.xingrin(['worker', 'list', '--json'])).stdout)).toMatchObject({
      data: { workers: [{ name: 'eu-1' }, { name: 'eu-2' }] },
    });
  });

  test('an older inventory comes back, and ids that were given since are not given again', async () => {
    await writeFile(inventory, workers(['eu-1', 2]));
    await place.xingrin(['backup', 'create']);
    const names = await readdir(join(place.project, '.xingrin/backups'));
    const old =
      names
        .filter((name) => name.startsWith('inventory-'))
        .toSorted()
        .at(-1) ?? '';
    await writeFile(inventory, workers(['eu-1', 2], ['eu-7', 7]));
    const { stdout } = await place.xingrin(['backup', 'restore', old, '--yes', '--json']);
    const { data } = JSON.parse(stdout) as { data: { steps: { title: string }[] } };
    expect(data.steps.map(({ title }) => title)).toEqual([expect.stringContaining('(-eu-7)')]);
    expect(await readFile(inventory, 'utf8')).toContain('lastId: 7');
    const list = JSON.parse((await place.xingrin(['worker', 'list', '--json'])).stdout) as {
      data: { workers: { name: string }[] };
    };
    expect(list.data.workers.map(({ name }) => name)).toEqual(['eu-1']);
  });

  test('a disk that is full in the middle of a backup: nothing half, docker/.env as it was, and it works with room again', async () => {
    const before = await readFile(envFile, 'utf8');
    const large = `${before}${'# a line of a long file\n'.repeat(4000)}`;
    await writeFile(envFile, large);
    const script = `
      mount -t tmpfs -o size=64k,mode=700 none .xingrin
      "$NODE" "$ENTRY" backup create --json; echo "code $?"
      ls .xingrin/backups
      mount -o remount,size=1m .xingrin
      "$NODE" "$ENTRY" backup create --json; echo "code $?"
      ls .xingrin/backups`;
    const env = { NODE: process.execPath, ENTRY };
    const { stdout } = await place.run(['unshare', '--mount', 'bash', '-c', script], { env });
    const [failed = '', code, ...rest] = stdout.split('\n');
    expect(JSON.parse(failed)).toMatchObject({ ok: false, exitCode: 6, error: { code: 'DISK' } });
    expect(code).toBe('code 6');
    // No name of a backup before it is whole.
    expect(rest[0]).toContain('"ok":true');
    expect([rest[1], rest.length]).toEqual(['code 0', 3]);
    expect(await readFile(envFile, 'utf8')).toBe(large);
    await writeFile(envFile, before);
  });
});
