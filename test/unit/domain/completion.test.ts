import { describe, expect, test } from 'vitest';
import { matching, placeOf, type CommandNode } from '../../../src/domain/completion.ts';

function node(name: string, more: Partial<CommandNode> = {}): CommandNode {
  return { name, about: '', options: [], args: [], children: [], ...more };
}
function option(flags: string[], value: string | null = null, choices: string[] = []) {
  return { flags, about: '', value, choices };
}

const ROOT = node('xingrin', {
  options: [option(['-C', '--project'], 'directory'), option(['--lang'], 'language', ['en', 'zh']), option(['--json'])],
  children: [
    node('update', { args: [{ name: 'version', many: false, choices: [] }], options: [option(['--dev'])] }),
    node('rollback', { args: [{ name: 'version', many: false, choices: [] }] }),
    node('release', { args: [{ name: 'version', many: false, choices: [] }] }),
    node('worker', {
      children: [node('list'), node('update', { args: [{ name: 'names', many: true, choices: [] }] })],
    }),
    node('task', { children: [node('run', { options: [option(['--worker'], 'name')] })] }),
  ],
});

function offered(...words: string[]): string[] {
  return matching(placeOf(ROOT, words), []).map(({ word }) => word);
}

describe('what may stand at the end of an unfinished line', () => {
  test.each([
    [['up'], ['update']],
    [
      ['worker', ''],
      ['list', 'update'],
    ],
    [['update', '--d'], ['--dev']],
    [
      ['--lang', ''],
      ['en', 'zh'],
    ],
    [['--lang', 'zh', 'wor'], ['worker']],
    [['--lang=z'], ['--lang=zh']],
    // Bash takes it apart.
    [['--lang', '=', 'z'], ['--lang=zh']],
    [
      ['--lang', '='],
      ['--lang=en', '--lang=zh'],
    ],
    [
      ['release', ''],
      ['major', 'minor', 'patch', 'dev'],
    ],
    [['worker', 'list', ''], []],
    [['task', 'run', '--', 'up'], []],
    [
      ['nonsense', ''],
      ['update', 'rollback', 'release', 'worker', 'task'],
    ],
    [[], ['update', 'rollback', 'release', 'worker', 'task']],
  ])('%j', (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  test.each([
    [['update', ''], 'versions'],
    [['rollback', ''], 'deployments'],
    [['worker', 'update', 'eu-1', ''], 'workers'],
    [['task', 'run', '--worker', ''], 'workers'],
    [['update', 'v1.0.0', ''], null],
  ])('%j asks the project for %s', (words, more) => {
    expect(placeOf(ROOT, words).more).toBe(more);
  });

  test.each([
    [['-C', 'shop', 'update', '']],
    [['--project=shop', 'update', '']],
    [['update', '--project', 'shop', '']],
  ])('the project is the one that %j names', (words) => {
    expect(placeOf(ROOT, words).project).toBe('shop');
  });

  test('what the project knows continues what was typed, behind its flag', () => {
    const place = placeOf(ROOT, ['task', 'run', '--worker=e']);
    expect(matching(place, ['eu-1', 'us-1']).map(({ word }) => word)).toEqual(['--worker=eu-1']);
  });
});
