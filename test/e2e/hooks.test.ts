import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPlainPlace, type PlainPlace } from './plain.ts';

let place: PlainPlace;
let log: string;

const CONFIG = 'hooks:\n  pre-release: hooks/pre.sh\n  post-release: hooks/post.sh\n';
const TELL =
  '#!/bin/sh\necho "$XINGRIN_HOOK|$XINGRIN_COMMAND|$XINGRIN_FROM|$XINGRIN_TO|$(pwd)" >> "$XINGRIN_PROJECT/../log"\n';

beforeAll(async () => {
  place = await openPlainPlace();
  log = join(place.folder, 'log');
  await writeFile(join(place.project, 'xingrin.yaml'), CONFIG);
  await mkdir(join(place.project, 'hooks'));
  const remote = join(place.folder, 'remote.git');
  await place.git('init', '--quiet', '--bare', remote);
  await place.git('remote', 'add', 'origin', remote);
  await setHooks(TELL, TELL);
});
afterAll(() => place?.close());

async function setHooks(pre: string, post: string, mode = 0o755): Promise<void> {
  for (const [name, text] of Object.entries({ pre, post })) {
    const path = join(place.project, 'hooks', `${name}.sh`);
    await writeFile(path, text);
    await chmod(path, mode);
  }
  await place.git('add', '--all');
  await place.git('commit', '--quiet', '--message', 'hooks');
  await place.git('push', '--quiet', 'origin', 'main');
}

async function release(version: string): Promise<{
  exitCode: number;
  warnings: readonly string[];
  error?: { code: string; message: string; evidence?: string };
}> {
  const { stdout } = await place.xingrin(['release', version, '--yes', '--json']);
  return JSON.parse(stdout);
}

async function tags(): Promise<string> {
  return (await place.git('ls-remote', '--tags', '--refs', 'origin')).replace(/^\S+\trefs\/tags\//gm, '');
}

test('hooks get the plan in their environment, and run in the project, before and after', async () => {
  await place.xingrin(['release', 'v1.0.0', '--dry-run']);
  expect((await release('v1.0.0')).exitCode).toBe(0);
  const lines = (await readFile(log, 'utf8')).trim().split('\n');
  const from = (await readFile(join(place.project, 'VERSION'), 'utf8')).trim();
  // Once each: a dry run runs none.
  expect(lines).toEqual([
    `pre-release|release|${from}|v1.0.0|${place.project}`,
    `post-release|release|${from}|v1.0.0|${place.project}`,
  ]);
});

test('a hook that fails before stops everything: nothing was changed, and its words are shown', async () => {
  await setHooks('#!/bin/sh\necho not on a friday >&2\nexit 3\n', TELL);
  const refused = await release('v1.1.0');
  expect(refused).toMatchObject({ exitCode: 6, error: { code: 'PRECONDITION', evidence: 'not on a friday' } });
  expect(await tags()).toBe('v1.0.0');
});

test('one that is missing or may not be run is refused as well', async () => {
  await setHooks(TELL, TELL, 0o644);
  expect((await release('v1.1.0')).error?.message).toContain('code 126');
  await rm(join(place.project, 'hooks/pre.sh'));
  await place.git('commit', '--quiet', '--all', '--message', 'no hook');
  await place.git('push', '--quiet', 'origin', 'main');
  expect((await release('v1.1.0')).error?.message).toContain('code 127');
  expect(await tags()).toBe('v1.0.0');
});

test('one that fails afterwards is a warning: the release is true', async () => {
  await setHooks(TELL, '#!/bin/sh\nexit 9\n');
  const done = await release('v1.1.0');
  expect([done.exitCode, done.warnings]).toEqual([0, [expect.stringContaining('code 9')]]);
  expect(await tags()).toBe('v1.0.0\nv1.1.0');
});
