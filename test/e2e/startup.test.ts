import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ENTRY = fileURLToPath(new URL('../../bin/xingrin.js', import.meta.url));

function ask(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [ENTRY, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], LANG: 'C', ...env },
  });
  expect(`${status} ${stderr}`).toBe('0 ');
  return stdout;
}

// What is kept ready for an instant answer must be what the command itself would say.
describe.each(['en', 'zh'])('the help that was made at build time, in %s', (language) => {
  const live = ['--lang', language, '--no-color', '--help'];
  test.each([
    ['--help', ['--lang', language, '--help']],
    ['-h', ['-h', `--lang=${language}`]],
    ['help', ['help', '--lang', language]],
  ])('%s', (_name, args) => {
    expect(ask(args)).toBe(ask(live));
  });
});

test('follows the locale where no language is named', () => {
  expect(ask(['--help'], { LANG: 'zh_CN.UTF-8' })).toContain('用法');
  expect(ask(['--help'], { LC_ALL: 'en_GB.UTF-8', LANG: 'zh_CN.UTF-8' })).toContain('Usage');
});

test('--version is that of the VERSION file, alone on its line', () => {
  expect(ask(['--version'])).toMatch(/^v\d+\.\d+\.\d+\S*\n$/);
  expect(ask(['-V'])).toBe(ask(['--version']));
});
