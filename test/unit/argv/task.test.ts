import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTask, startTask, stopTask, taskLog } from '../../../src/argv/task.ts';
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
    const { argv, input } = startTask(SPEC, [{ key: 'TOKEN', value: 's3cret' }]);
    expect(argv.join(' ')).not.toContain('s3cret');
    expect(argv.slice(0, 3)).toEqual(['sh', '-s', '--']);
    expect(argv).toContain('--env-file');
    expect(input).toContain("'TOKEN=s3cret'");
  });

  // What docker would be given is asked of a real shell.
  it('brings any line through a shell unchanged, and into no environment', () => {
    const value = fc.string({ unit: 'grapheme' }).filter((text) => !/[\0\r\n]/.test(text));
    fc.assert(
      fc.property(value, (plain) => {
        const { argv, input } = startTask({ ...SPEC, args: [plain] }, [
          { key: 'PLAIN', value: plain },
          { key: 'PATH', value: '/nowhere' },
        ]);
        const [, , , , ...words] = argv;
        const shown = `cat; printf '%s\\0' "$PLAIN" "$@"`;
        const out = execFileSync('sh', ['-s', '--', 'sh', '-c', shown, ...words], { input }).toString();
        expect(out).toBe(`PLAIN=${plain}\nPATH=/nowhere\n${['', ...words.slice(1)].join('\0')}\0`);
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

describe('createTask', () => {
  it('asks the engine itself, by a request that is whole or nothing', () => {
    const variables: Variable[] = [
      { key: 'PATH', value: '/evil\n' },
      { key: 'LD_PRELOAD', value: `/evil.so\r\n${'一'.repeat(40_000)}` },
    ];
    const { argv, input } = createTask(SPEC, variables);
    expect(argv).toEqual(['docker', 'system', 'dial-stdio']);
    const [head = '', body = ''] = input.split(/\r\n\r\n(.*)/s);
    expect(head.split('\r\n')).toEqual([
      'POST /containers/create?name=xingrin-task-nightly HTTP/1.0',
      'Host: docker',
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
    ]);
    expect(JSON.parse(body)).toEqual({
      Image: SPEC.image,
      Cmd: SPEC.args,
      Env: variables.map(({ key, value }) => `${key}=${value}`),
      Labels: {
        'xingrin.task': 'nightly',
        'xingrin.project': 'shop',
        'xingrin.mark': 'abc',
        'com.docker.compose.project': '',
        'com.docker.compose.service': '',
      },
      HostConfig: {
        LogConfig: { Type: 'json-file', Config: { 'max-size': '1024g', 'max-file': '1', compress: 'false' } },
      },
    });
    expect(JSON.parse(createTask({ ...SPEC, args: [] }, []).input.split('\r\n\r\n')[1] ?? '')).not.toHaveProperty(
      'Cmd',
    );
  });
});

it('reading and ending', () => {
  expect(taskLog('c', { follow: true, since: 't' })).toEqual(
    'docker logs --timestamps --follow --since t -- c'.split(' '),
  );
  expect(stopTask('c', 10)).toEqual('docker stop -t 10 -- c'.split(' '));
});
