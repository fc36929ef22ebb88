import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allowDocker, installDocker } from '../../src/argv/bootstrap.ts';
import { SWAP_SCRIPT } from '../../src/argv/swap-script.ts';
import { init } from '../../src/commands/init.ts';
import { templateEntries } from '../../src/domain/template.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xingrin-scripts-'));
  await init({ directory: join(folder, 'shop') });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("shellcheck has no objection to the project's scripts, nor to our own", () => {
  const written = templateEntries()
    .map(({ target }) => target)
    .filter((path) => path.endsWith('.sh'))
    .map((path) => join(folder, 'shop', path));
  const own = ['bootstrap', 'demo', 'test'].map((name) =>
    join(import.meta.dirname, '..', '..', 'scripts', `${name}.sh`),
  );
  const checked = spawnSync('shellcheck', ['--shell=sh', ...written, ...own], { encoding: 'utf8' });
  expect(checked.stdout).toBe('');
  expect(checked.status).toBe(0);
});

test('nor to the script that swaps an agent on a worker', () => {
  const input = `#!/bin/sh\nset -u\n${SWAP_SCRIPT}\n{ main "$@"; exit; }\n`;
  const checked = spawnSync('shellcheck', ['--shell=sh', '-'], { encoding: 'utf8', input });
  expect(checked.stdout).toBe('');
  expect(checked.status).toBe(0);
});

test('nor to those that make a host fit for a worker', () => {
  for (const { input } of [installDocker(['https://mirror.example.org']), allowDocker()]) {
    // sudo and apt-get are called with options of their own, in one variable; os-release is the host's.
    const argv = ['--shell=sh', '--exclude=SC2086,SC1091', '-'];
    const checked = spawnSync('shellcheck', argv, { encoding: 'utf8', input: `#!/bin/sh\n${input}` });
    expect(checked.stdout).toBe('');
    expect(checked.status).toBe(0);
  }
});
