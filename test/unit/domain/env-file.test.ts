import { parse } from 'dotenv';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createEnv,
  encodeEnvValue,
  envValue,
  missingKeys,
  parseEnvFile,
  secretKeys,
  setEnvValues,
} from '../../../src/domain/env-file.ts';
import { refusal } from '../refusal.ts';

function valueOf(text: string, key = 'A', environment: Record<string, string> = {}): string | undefined {
  return envValue(parseEnvFile(text, '.env', environment), key);
}

describe('reading', () => {
  it.each([
    ['A=1', '1'],
    ['A = 1 ', '1'],
    ['A: 1', '1'],
    ['export A=1', '1'],
    ['exported=2\nA=1', '1'],
    ['\ufeffA=1', '1'],
    ['A=1\r\nB=2\r\n', '1'],
    ['A=', ''],
    ['A=\r\n', ''],
    ['A=x # words', 'x'],
    ['A=x#y', 'x#y'],
    ['A="x # y" # words', 'x # y'],
    ['A= # words', '# words'],
    ['A=1\nA=2', '2'],
    ['# A=1\n\nA=2', '2'],
    ['A="two\nlines"', 'two\nlines'],
    ["A='it\\'s $B'", "it's $B"],
    ['A="a\\n\\t\\"\\\\\\$B"', 'a\n\t"\\$B'],
    ['A=a\\nb', 'a\\nb'],
    ['A="\\0101\\07"', 'A\\7'],
    ['B=1\nA=$B${B}$$B', '11$B'],
    ['A=$B\nB=1', ''],
    ['A=${B:-x}${C-y} z', 'xy z'],
    ['A=${B:-${C:-d}}', 'd'],
    ['B=\nA=${B:-x}${B-y}${B:+z}${B+w}', 'xw'],
    ['A=$1 $ 5', '$1 $ 5'],
    ['ключ=1\nA=ü版', 'ü版'],
  ])('reads %j as %j', (text, value) => expect(valueOf(text)).toBe(value));

  it('looks into the environment before the file, and for keys that stand alone', () => {
    expect(valueOf('B=1\nA=$B', 'A', { B: '2' })).toBe('2');
    expect(valueOf('A\n', 'A', { A: 'here' })).toBe('here');
    expect(valueOf('A\n')).toBeUndefined();
  });

  it('knows the lines of every key', () => {
    const { entries } = parseEnvFile('# x\r\nA=1\r\nB="a\r\nb\r\nc"\r\n\r\nC=3', '.env');
    expect(entries.map(({ key, line, lastLine }) => [key, line, lastLine])).toEqual([
      ['A', 2, 2],
      ['B', 3, 5],
      ['C', 7, 7],
    ]);
  });

  it.each([
    ['A=1\nA B=2', 2],
    ['A=1\n<<<<<<< HEAD', 2],
    ['A=1\n\n=======', 3],
    ['A=1\nB="open\nC=2', 2],
    ["A='x' y", 1],
    ['A="x"y', 1],
    ['A=${', 1],
    ['A="${B:-x"', 1],
    ['A=${B:?}', 1],
    ['B=1\nA=${B:-${}', 2],
    ['B=1\nA', 2],
    ['A=1\nB=x\0y', 2],
    ['A=1\n-----BEGIN PRIVATE KEY-----', 2],
    ['A=1\nsecret+value', 2],
  ])('refuses %j in line %i without showing it', (text, line) => {
    const error = refusal(() => parseEnvFile(text, 'docker/.env'));
    expect(error.exitCode).toBe(2);
    expect(error.text.en).toMatch(new RegExp(`^docker/\\.env, line ${line}: `));
    expect(error.text.zh).toContain(`第 ${line} 行`);
    expect(error.text.en).not.toMatch(/HEAD|BEGIN|secret/);
  });
});

describe('setEnvValues', () => {
  it.each([
    ['A=1\nB=2\n', 'A=new\nB=2\n'],
    ['A=1', 'A=new'],
    ['A=1\r\nB=2\r\n', 'A=new\r\nB=2\r\n'],
    ['\ufeffA=1\n', '\ufeffA=new\n'],
    ['  export A = 1  # words\n', '  export A = new  # words\n'],
    ['A="1"# words', 'A="new"# words'],
    ["A='two\nlines'\nB=2", 'A=new\nB=2'],
    ['A=\r\nB=2', 'A=new\r\nB=2'],
    ['A= # words\n', 'A=new # words\n'],
    ['A: 1', 'A: new'],
    ['A\nB=2', 'A=new\nB=2'],
    ['A=new # same\n', 'A=new # same\n'],
    ["A='new'", "A='new'"],
    ['B=new\nA=$B', 'B=new\nA=new'],
    ['A=${B:-1}', 'A=new'],
    ['', 'A=new\n'],
    ['B=2', 'B=2\nA=new\n'],
    ['B=2\r\n', 'B=2\r\nA=new\r\n'],
    ['# end', '# end\nA=new\n'],
    ['B="A=1\nA=2"\n', 'B="A=1\nA=2"\nA=new\n'],
  ])('makes of %j %j', (before, after) => {
    expect(setEnvValues(before, '.env', { A: 'new' })).toBe(after);
    expect(valueOf(after)).toBe('new');
  });

  it.each([
    ['A=1\n', 'A=\n'],
    ['A=1 # words\n', 'A="" # words\n'],
    ['A= # words\n', 'A="" # words\n'],
    ['B=1\n', 'B=1\n'],
  ])('empties a key with null: %j to %j', (before, after) => {
    expect(setEnvValues(before, '.env', { A: null })).toBe(after);
    expect(valueOf(after) ?? '').toBe('');
  });

  it('names both lines of a key that stands twice, and minds only those it is to change', () => {
    const text = 'A=1\nB=1\nA=2\n';
    const error = refusal(() => setEnvValues(text, 'docker/.env', { A: 'x' }));
    expect(error.exitCode).toBe(2);
    expect(error.text.en).toBe('docker/.env: A stands twice, in line 1 and in line 3');
    expect(setEnvValues(text, 'docker/.env', { B: 'x' })).toBe('A=1\nB=x\nA=2\n');
  });

  it('refuses what it cannot keep or write', () => {
    expect(refusal(() => setEnvValues('# \ufffd\nA=1', '.env', { A: 'x' })).text.en).toContain(
      'line 1: it is not valid UTF-8',
    );
    expect(refusal(() => setEnvValues('', '.env', { A: 'a\0b' })).exitCode).toBe(2);
    expect(refusal(() => setEnvValues('', '.env', { A: '\ud800' })).exitCode).toBe(2);
    expect(refusal(() => setEnvValues('', '.env', { A: '\ufffd' })).exitCode).toBe(2);
  });

  it('gives back every value, and every other byte of any file that can be read', () => {
    const piece = fc.constantFrom(
      '# words $X "\n',
      '\n',
      '\r\n',
      'A=1\n',
      'B=2 # c\r\n',
      "C='x\ny'\n",
      'D="$B\\$" # z\n',
      'export E= v\n',
      'F=\n',
      'G: # g\n',
      'H\n',
    );
    const file = fc
      .uniqueArray(piece, { maxLength: 11, selector: (text) => text.slice(0, 8) })
      .map((all) => all.join(''));
    const value = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom(...'\\"\'$#{} \n\r\t=&|/a') }),
    );
    const key = fc.constantFrom('A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'NEW');
    fc.assert(
      fc.property(file, fc.boolean(), fc.dictionary(key, value), (whole, cut, changes) => {
        fc.pre(!/[\0\ufffd]/.test(Object.values(changes).join('')));
        const text = cut && !whole.endsWith('H\n') ? whole.replace(/\r?\n$/, '') : whole;
        const after = setEnvValues(text, '.env', changes);
        const read = parseEnvFile(after, '.env');
        for (const [name, wanted] of Object.entries(changes)) expect(envValue(read, name)).toBe(wanted);
        const before = parseEnvFile(text, '.env').entries;
        expect(read.entries.slice(0, before.length).map((entry) => entry.key)).toEqual(
          before.map((entry) => entry.key),
        );
        let [kept, at] = [0, 0];
        for (const { key: name, from, to, bare } of before.filter((entry) => entry.key in changes)) {
          const untouched = text.slice(kept, from);
          expect(after.slice(at, at + untouched.length)).toBe(untouched);
          kept = to;
          const written = read.entries.find((entry) => entry.key === name) ?? { from: 0, to: 0 };
          at += untouched.length + (bare ? 1 : 0) + written.to - written.from;
        }
        expect(after.slice(at).startsWith(text.slice(kept))).toBe(true);
        expect(setEnvValues(after, '.env', changes)).toBe(after);
        expect(setEnvValues(text, '.env', {})).toBe(text);
      }),
      { numRuns: 400 },
    );
  });
});

it('writes plainly what every reader of env files takes alike', () => {
  for (const value of ['v1.2.3', 'registry.example.com:5000/team/x:v1', 'a=b', 'me@example.com', '']) {
    expect(encodeEnvValue(value)).toBe(value);
    expect(parse(`A=${value}`)).toEqual({ A: value });
  }
  expect(encodeEnvValue('p&a|s/s$w"o\\r\nd')).toBe('"p&a|s/s\\$w\\"o\\\\r\\nd"');
});

describe('the example', () => {
  const example = [
    '# Database',
    '# xingrin:secret',
    'DB_PASSWORD=',
    '',
    '# Where the database is',
    'DB_HOST=postgres # or a name',
    'KEYS="a',
    'b"',
    'TOKEN=',
    '',
  ].join('\r\n');

  it('says which keys are new, with the comment above them', () => {
    expect(missingKeys(example, 'DB_PASSWORD=x\n')).toEqual([
      { key: 'DB_HOST', lines: ['# Where the database is', 'DB_HOST=postgres # or a name'] },
      { key: 'KEYS', lines: ['KEYS="a', 'b"'] },
      { key: 'TOKEN', lines: ['TOKEN='] },
    ]);
    expect(missingKeys(example, example)).toEqual([]);
    expect(refusal(() => missingKeys(example, '?')).text.en).toContain('docker/.env, line 1');
    expect(refusal(() => missingKeys('?', '')).text.en).toContain('docker/.env.example, line 1');
  });

  it('says which keys are secret: marked, or configured and there', () => {
    expect(secretKeys(example, ['TOKEN', 'ABSENT', 'DB_PASSWORD'])).toEqual(['DB_PASSWORD', 'TOKEN']);
    expect(secretKeys(example, [])).toEqual(['DB_PASSWORD']);
  });

  it('becomes the first env file', () => {
    const made = createEnv(example, { DB_PASSWORD: 'se$cret', IMAGE_TAG: 'v1.0.0' });
    expect(made).toBe(`${example.replace('DB_PASSWORD=', 'DB_PASSWORD="se\\$cret"')}IMAGE_TAG=v1.0.0\r\n`);
  });
});
