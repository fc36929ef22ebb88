import { describe, expect, test } from 'vitest';
import { parseVersion, type Version } from '../../../src/domain/version.ts';
import type { CheckoutFacts, ReleaseFacts } from '../../../src/observe/release.ts';
import { planRelease, requireReleasable, wantedRelease } from '../../../src/plan/release.ts';
import { refusal } from '../refusal.ts';

const v = (text: string): Version => parseVersion(text, 'test');

const CLEAN: CheckoutFacts = { hasRemote: true, shallow: false, branch: 'main', head: 'a'.repeat(40), changed: [] };

const FACTS: ReleaseFacts = {
  base: 'a'.repeat(40),
  ahead: 0,
  behind: 0,
  released: v('v1.1.0'),
  tagsHere: [v('v1.0.0'), v('v1.1.0')],
  tagsThere: [v('v1.0.0'), v('v1.1.0')],
  versionPath: 'VERSION',
  author: { name: 'A', email: 'a@example.invalid' },
};

describe('what is asked for', () => {
  test.each([
    [undefined, { bump: 'patch' }],
    ['minor', { bump: 'minor' }],
    ['dev', { bump: 'dev' }],
    ['v2.0.0', { version: 'v2.0.0' }],
  ])('%s', (argument, wanted) => {
    expect(wantedRelease(argument)).toEqual(wanted);
  });

  test.each(['v1.2', 'v01.2.3', 'v1.2.3+b', 'v1;touch x', '$(id)', '-v1.2.3', 'latest', 'v1.2.3\n', 'v\0', ''])(
    '%j is refused with exit 2',
    (argument) => {
      expect(refusal(() => wantedRelease(argument)).exitCode).toBe(2);
    },
  );

  test('a slip of the finger gets a suggestion', () => {
    expect(refusal(() => wantedRelease('pacth')).details.hint?.en).toContain('patch');
  });
});

describe('a checkout from which nothing is released', () => {
  test.each<[Partial<CheckoutFacts>, string, string]>([
    [{ hasRemote: false }, 'no git remote', 'git remote add origin'],
    [{ head: null }, 'no commit', 'git commit'],
    [{ shallow: true }, 'shallow', 'git fetch --unshallow'],
    [{ branch: null }, 'detached', 'git switch main'],
    [{ branch: 'topic' }, 'the branch topic', 'git switch main'],
    [{ changed: ['a', 'b'] }, '2 tracked files', 'git commit'],
  ])('%j', (difference, text, hint) => {
    const error = refusal(() => requireReleasable({ ...CLEAN, ...difference }, 'main'));
    expect(error.exitCode).toBe(6);
    expect(error.text.en).toContain(text);
    expect(error.details.hint?.en).toContain(hint);
  });

  test('a clean one passes', () => {
    requireReleasable(CLEAN, 'main');
  });
});

describe('a main branch out of step', () => {
  test.each<[Partial<ReleaseFacts>, string, string]>([
    [{ behind: 3 }, '3 commits behind', 'git pull --ff-only'],
    [{ ahead: 1 }, '1 commit that origin', 'git push'],
    [{ ahead: 1, behind: 2 }, 'diverged: 1 commit only here, 2 only there', 'git pull --rebase'],
  ])('%j', (difference, text, hint) => {
    const error = refusal(() => planRelease({ bump: 'patch' }, { ...FACTS, ...difference }, 'main', 0));
    expect(error.exitCode).toBe(6);
    expect(error.text.en).toContain(text);
    expect(error.details.hint?.en).toContain(hint);
  });
});

describe('the version', () => {
  test.each([
    ['patch', 'v1.1.1'],
    ['minor', 'v1.2.0'],
    ['major', 'v2.0.0'],
    ['dev', 'v1.1.1-dev.1'],
  ] as const)('%s', (bump, expected) => {
    expect(planRelease({ bump }, FACTS, 'main', 0).to).toBe(expected);
  });

  test('the first release of all', () => {
    const facts = { ...FACTS, released: null, tagsHere: [], tagsThere: [] };
    expect(planRelease({ bump: 'minor' }, facts, 'main', 0)).toMatchObject({ from: null, to: 'v0.1.0' });
  });

  test('test releases are counted on, and end in the release they were for', () => {
    const tagsThere = [...FACTS.tagsThere, v('v1.1.1-dev.1'), v('v1.1.1-dev.2')];
    expect(planRelease({ bump: 'dev' }, { ...FACTS, tagsThere }, 'main', 0).to).toBe('v1.1.1-dev.3');
    expect(planRelease({ bump: 'patch' }, { ...FACTS, tagsThere }, 'main', 0).to).toBe('v1.1.1');
  });

  test.each<[string, Partial<ReleaseFacts>, string]>([
    ['v1.0.0', {}, 'already at origin and here'],
    ['v1.2.0', { tagsThere: [v('v1.2.0')] }, 'already at origin'],
    ['v1.2.0', { tagsHere: [v('v1.2.0')] }, 'already here'],
    ['v1.0.5', {}, 'v1.0.5 is not higher than v1.1.0'],
    ['v1.1.0-dev.1', {}, 'not higher than v1.1.0'],
    ['v1.1.0', { tagsHere: [], tagsThere: [] }, 'which VERSION holds'],
    ['v1.1.5', { tagsThere: [v('v1.2.0-dev.1')] }, 'not higher than v1.2.0-dev.1, which is a git tag'],
  ])('%s with %j is refused', (version, difference, text) => {
    const error = refusal(() => planRelease({ version: v(version) }, { ...FACTS, ...difference }, 'main', 0));
    expect(error.exitCode).toBe(6);
    expect(error.text.en).toContain(text);
  });

  test('commit, tag, push, and the same commit for all three', () => {
    const plan = planRelease({ version: v('v1.2.0') }, FACTS, 'main', 1_700_000_000);
    expect(plan).toMatchObject({ command: 'release', from: 'v1.1.0', to: 'v1.2.0', commit: FACTS.base });
    expect(plan.steps.map(({ kind }) => kind)).toEqual(['release-commit', 'release-tag', 'release-push']);
    expect(new Set(plan.steps.map(({ params }) => JSON.stringify(params))).size).toBe(1);
  });
});
