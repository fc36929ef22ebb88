import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startTask, stopTask, taskLog } from '../../../src/argv/task.ts';
import type { TaskSpec, Variable } from '../../../src/domain/task.ts';

const SPEC: TaskSpec = {
  id: 'nightly',
  mark: 'abc',
  project: 'shop',
  image: 'team/xingrin-worker:v1.0.0',
  args: ['sh', '-c', 'echo "$HOME"', '--json', ''],
};

describe('startTask', () => {
  it('is docker run, left to itself, with the words as they are', () => {
    expect(startTask(SPEC, [])).toEqual({
      argv: [
        'docker',
        'run',
        '--detach',
        '--pull=missing',
        '--name',
        'xingrin-task-nightly',
        '--label',
        'xingrin.task=nightly',
        '--label',
        'xingrin.project=shop',
        '--label',
        'xingrin.mark=abc',
        '--label',
        'com.docker.compose.project=',
        '--label',
        'com.docker.compose.service=',
        '--log-driver=json-file',
        '--log-opt=max-size=1024g',
        '--log-opt=max-file=1',
        '--log-opt=compress=false',
        '--',
        'team/xingrin-worker:v1.0.0',
        'sh',
        '-c',
        'echo "$HOME"',
        '--json',
        '',
      ],
      input: '',
    });
  });

  it('has values nowhere but in what is read from standard input', () => {
    const { argv, input } = startTask(SPEC, [
      { key: 'TOKEN', value: 's3cret' },
      { key: 'CERT', value: 's3cret\nlines' },
    ]);
    expect(argv.join(' ')).not.toContain('s3cret');
    expect(argv.slice(0, 3)).toEqual(['sh', '-s', '--']);
    expect(argv).toContain('--env-file');
    expect(input).toContain("'TOKEN=s3cret'");
  });

  // What docker would be given is asked of a real shell.
  it('brings any value through a shell unchanged', () => {
    const value = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(value, value, (plain, more) => {
        const variables: Variable[] = [
          { key: 'PLAIN', value: plain.replaceAll(/[\r\n]/g, '') },
          { key: 'MORE', value: `${more}\n'$(reboot)` },
        ];
        const { argv, input } = startTask({ ...SPEC, args: [plain] }, variables);
        const [, , , , ...words] = argv;
        const shown = `cat; printf '%s\\0' "$MORE" "$@"`;
        const out = execFileSync('sh', ['-s', '--', 'sh', '-c', shown, ...words], { input }).toString();
        expect(out).toBe(`PLAIN=${variables[0]?.value}\n${[variables[1]?.value, ...words.slice(1)].join('\0')}\0`);
      }),
      { numRuns: 20 },
    );
  });

  it('does nothing when only part of it arrives', () => {
    const { argv, input } = startTask(SPEC, [{ key: 'A', value: 'b' }]);
    const words = argv.map((word) => (word === 'docker' ? 'echo' : word));
    expect(execFileSync(words[0] ?? '', words.slice(1), { input }).toString()).toContain('run --detach');
    for (let length = 1; length < input.trimEnd().length; length += 1) {
      let out: string;
      try {
        const [file = '', ...args] = words;
        out = execFileSync(file, args, { input: input.slice(0, length), stdio: 'pipe' }).toString();
      } catch {
        continue;
      }
      expect(out).toBe('');
    }
  });
});

it('reading and ending', () => {
  expect(taskLog('c', { follow: true, since: 't' })).toEqual(
    'docker logs --timestamps --follow --since t -- c'.split(' '),
  );
  expect(stopTask('c', 10)).toEqual('docker stop -t 10 -- c'.split(' '));
});
