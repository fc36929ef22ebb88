import { chmod, chown, lstat, mkdir, readFile, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Plan } from '../../src/plan/plan.ts';
import { openPlainPlace, type PlainPlace } from './plain.ts';

/** State and projects that another user, or the author of a repository, has put where an operator types xingrin. */
let place: PlainPlace;
let state: string;
/** A file of the operator's that no project has anything to do with. */
let victim: string;

const STRANGER = 65_534;
const PROFILE = 'alias ls="ls --color"\n';
const EVIL = 'workers: []\n# written by the attack\n';

const LOOKING = [
  ['status'],
  ['history'],
  ['worker', 'list'],
  ['backup', 'list'],
  ['lock'],
  ['doctor'],
  ['start', '--dry-run'],
];

beforeAll(async () => {
  place = await openPlainPlace();
  state = join(place.project, '.xingrin');
  victim = join(place.folder, 'home', '.bashrc');
});
afterAll(() => place?.close());
beforeEach(async () => {
  await rm(state, { recursive: true, force: true });
  await writeFile(victim, PROFILE);
});

/** A journal that began `steps` and did not end. */
async function plantJournal(
  steps: readonly { readonly kind: string; readonly params: Plan['steps'][number]['params'] }[],
) {
  const plan = {
    schema: 'xingrin-plan/v1',
    command: 'backup restore',
    from: null,
    to: null,
    commit: null,
    steps: steps.map((step) => ({ ...step, title: { en: step.kind, zh: step.kind }, host: 'main' })),
  };
  const entries = [
    { type: 'begin', id: 'planted', at: '2026-01-01T00:00:00.000Z', plan, process: 'planted' },
    ...steps.map((_step, step) => ({ type: 'start', step, memo: { backup: 'inventory-20260101T000000Z.yaml' } })),
  ];
  await mkdir(join(state, 'journal'), { recursive: true, mode: 0o700 });
  await writeFile(
    join(state, 'journal', 'planted.jsonl'),
    entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
  );
}

/** What the attack of a repository's author consists of: a link out of the project, a backup, a journal that brings it back. */
async function plantRestore(): Promise<void> {
  await plantJournal([{ kind: 'restore-inventory', params: { name: 'inventory-20260101T000000Z.yaml' } }]);
  await mkdir(join(state, 'backups'), { mode: 0o700 });
  await writeFile(join(state, 'backups', 'inventory-20260101T000000Z.yaml'), EVIL);
  await symlink('../../home/.bashrc', join(state, 'inventory.yaml'));
}

/** Every file below a folder with what it holds. */
async function tree(folder: string, below = ''): Promise<Record<string, string>> {
  const entries: Record<string, string> = {};
  for (const name of await readdir(join(folder, below))) {
    const path = join(below, name);
    const found = await lstat(join(folder, path));
    if (found.isDirectory()) Object.assign(entries, await tree(folder, path));
    else
      entries[path] = found.isSymbolicLink()
        ? await readlink(join(folder, path))
        : await readFile(join(folder, path), 'utf8');
  }
  return entries;
}

/** One that looks, one that recovers, one that changes something: all open the project in the same way. */
async function refused(words: RegExp, commands = [['status'], ['recover'], ['start', '--yes']]): Promise<string> {
  const before = await tree(place.project);
  let hint = '';
  for (const args of commands) {
    const { exitCode, stdout } = await place.xingrin([...args, '--json']);
    const { error } = JSON.parse(stdout) as { error: { message: string; hint: string } };
    expect([args, exitCode, error.message]).toEqual([args, 6, expect.stringMatching(words)]);
    hint = error.hint;
  }
  expect(await tree(place.project)).toEqual(before);
  expect(await readFile(victim, 'utf8')).toBe(PROFILE);
  return hint;
}

test('state that came with a clone is refused before anything of it is used', async () => {
  await plantRestore();
  await rm(join(state, 'inventory.yaml'));
  await place.git('add', '--force', '.xingrin');
  await place.git('commit', '--quiet', '--message', 'a gift');
  const hint = await refused(/git tracks .*came with the checkout/);
  const [, typed = ''] = /remove it: (.*) and commit that/.exec(hint) ?? [];
  expect((await place.run(['sh', '-c', typed])).exitCode).toBe(0);
  await place.git('commit', '--quiet', '--message', 'no gift');
  expect((await place.xingrin(['history'])).exitCode).toBe(0);
});

test('a link anywhere in the state is refused, and nothing is written through it', async () => {
  await plantRestore();
  const hint = await refused(/inventory\.yaml is a symbolic link/, [
    ['status'],
    ['history'],
    ['recover'],
    ['start', '--yes'],
  ]);
  expect((await place.run(['sh', '-c', hint.slice(hint.lastIndexOf(': ') + 2)])).exitCode).toBe(0);
  expect(await readFile(victim, 'utf8')).toBe(PROFILE);
  await rm(state, { recursive: true });
  await symlink('/tmp', state);
  await refused(/\.xingrin is a symbolic link/, [['status']]);
});

test("another user's state, and state that others may write, are refused; the hints work as typed", async () => {
  await plantJournal([{ kind: 'remove-stack', params: { volumes: true } }]);
  await chown(join(state, 'journal', 'planted.jsonl'), STRANGER, STRANGER);
  const owned = await refused(/planted\.jsonl belongs to another user \(uid 65534\)/, [['status']]);
  expect((await place.run(['sh', '-c', owned.slice(owned.indexOf(': ') + 2)])).exitCode).toBe(0);
  expect((await place.xingrin(['history'])).exitCode).toBe(0);

  await chmod(state, 0o755);
  await chmod(join(state, 'journal'), 0o777);
  const open = await refused(/other users can write to .*journal/, [['status']]);
  expect((await place.run(['sh', '-c', open.slice(open.indexOf(': ') + 2)])).exitCode).toBe(0);
  expect((await place.xingrin(['history'])).exitCode).toBe(0);
});

test('commands that look say what was interrupted and do none of it', async () => {
  await plantJournal([{ kind: 'remove-stack', params: { volumes: true } }]);
  const before = await tree(place.project);
  for (const args of LOOKING) {
    const { stderr, stdout } = await place.xingrin(args);
    expect([args, `${stdout}${stderr}`]).toEqual([args, expect.stringMatching(/interrupted|planted/)]);
  }
  expect(await tree(place.project)).toEqual(before);
});

test('a project that a stranger planted in a shared parent folder is passed over, and refused where it is named', async () => {
  const shared = join(place.folder, 'shared');
  const mine = join(shared, 'mine');
  const trace = join(place.folder, 'trace');
  await mkdir(mine, { recursive: true });
  await writeFile(join(shared, 'hook.sh'), `#!/bin/sh\ntouch ${trace}\n`, { mode: 0o755 });
  await writeFile(join(shared, 'xingrin.yaml'), 'hooks: {pre-install: hook.sh}\n');
  await writeFile(join(shared, 'VERSION'), 'v1.0.0\n');
  await chown(join(shared, 'xingrin.yaml'), STRANGER, STRANGER);
  await chmod(shared, 0o1777);
  const above = await place.xingrin(['install', '--yes'], { cwd: mine });
  expect([above.exitCode, above.stderr]).toEqual([2, expect.stringContaining('one was passed over')]);
  const named = await place.xingrin(['-C', shared, 'install', '--yes']);
  expect([named.exitCode, named.stderr]).toEqual([6, expect.stringContaining('every user of this machine can write')]);
  await chmod(shared, 0o755);
  const owned = await place.xingrin(['-C', shared, 'config']);
  expect([owned.exitCode, owned.stderr]).toEqual([6, expect.stringContaining('belongs to another user (uid 65534)')]);
  await expect(lstat(trace)).rejects.toThrow('ENOENT');

  const [, typed = ''] =
    /(git config --global --add safe\.directory \S+)/.exec(owned.stderr.replaceAll(/\s+/g, ' ')) ?? [];
  expect((await place.run(['sh', '-c', typed])).exitCode).toBe(0);
  expect((await place.xingrin(['-C', shared, 'config'])).exitCode).toBe(0);
});

test("behind sudo, the person's own checkout is trusted", async () => {
  await mkdir(state, { mode: 0o700 });
  await chown(place.project, STRANGER, STRANGER);
  await chown(state, STRANGER, STRANGER);
  const sudo = { env: { SUDO_UID: String(STRANGER), SUDO_GID: String(STRANGER) } };
  expect((await place.xingrin(['history'], sudo)).exitCode).toBe(0);
  const without = await place.xingrin(['history']);
  expect([without.exitCode, without.stderr]).toEqual([6, expect.stringContaining('is not trusted')]);
  await chown(place.project, 0, 0);
});
