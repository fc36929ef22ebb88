import { describe, expect, test } from 'vitest';
import type { ImageConfig } from '../../../src/domain/config.ts';
import type { ReleaseLock } from '../../../src/domain/release-lock.ts';
import { parseVersion, type Version } from '../../../src/domain/version.ts';
import type { RegistryImage } from '../../../src/effects/registry.ts';
import { sourceOf, type MainFacts, type PublishFacts } from '../../../src/observe/publish.ts';
import { imagesToBuild, planPublish, requireImage, shortcomings, type Part } from '../../../src/plan/publish.ts';
import { refusal } from '../refusal.ts';

const v = (text: string): Version => parseVersion(text, 'test');
const COMMIT = 'c'.repeat(40);
const OTHER = 'd'.repeat(40);
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;

function image(name: string, platforms: string[] = []): ImageConfig {
  return { name, dockerfile: `docker/${name}/Dockerfile`, context: '.', platforms };
}

function there(letter: string, difference: Partial<RegistryImage> = {}): RegistryImage {
  return { digest: digest(letter), platforms: { 'linux/amd64': digest(letter) }, revision: COMMIT, ...difference };
}

const MAIN: MainFacts = { commit: 'b'.repeat(40), version: v('v1.0.0'), lock: null, highestStable: v('v1.0.0') };

function facts(difference: Partial<PublishFacts> = {}, version = 'v1.1.0'): PublishFacts {
  return {
    publication: {
      version: v(version),
      commit: COMMIT,
      created: '2024-01-01T00:00:00+00:00',
      source: null,
      repository: 'team',
      images: [image('one'), image('two')],
      prefix: '',
      mainBranch: 'main',
    },
    images: new Map([
      ['one', null],
      ['two', null],
    ]),
    latest: new Map([
      ['one', null],
      ['two', null],
    ]),
    main: MAIN,
    canFollow: true,
    ...difference,
  };
}

const BOTH = new Map([
  ['one', there('1')],
  ['two', there('2')],
]);

const LOCK: ReleaseLock = {
  version: v('v1.1.0'),
  commit: COMMIT,
  images: {
    one: { repository: 'team', digest: digest('1'), platforms: { 'linux/amd64': digest('1') } },
    two: { repository: 'team', digest: digest('2'), platforms: { 'linux/amd64': digest('2') } },
  },
};

function kinds(given: PublishFacts, part: Part = 'all', builder: 'bake' | 'classic' = 'bake'): string[] {
  const missing = part === 'finalize' ? [] : imagesToBuild(given);
  return planPublish(given, part, missing, builder).steps.map(({ kind }) => kind.replace('publish-', ''));
}

describe('the steps', () => {
  test('of a fresh version', () => {
    expect(kinds(facts())).toEqual(['build', 'verify', 'finalize', 'latest', 'follow']);
    expect(kinds(facts(), 'all', 'classic')).toEqual([
      'build-one',
      'build-one',
      'verify',
      'finalize',
      'latest',
      'follow',
    ]);
  });

  test('what the registry holds for this commit is not built again', () => {
    const images = new Map([
      ['one', there('1')],
      ['two', null],
    ]);
    const [first] = planPublish(facts({ images }), 'all', imagesToBuild(facts({ images })), 'bake').steps;
    expect(first?.title.en).toBe('build and push one image: two; 1 there already');
    expect(kinds(facts({ images: BOTH }))).toEqual(['verify', 'finalize', 'latest', 'follow']);
  });

  test('an image that lacks a declared platform is built again', () => {
    const given = facts({ images: BOTH });
    const images = [image('one', ['linux/amd64', 'linux/arm64/v8']), image('two', ['linux/amd64'])];
    const publication = { ...given.publication, images };
    expect(imagesToBuild({ ...given, publication }).map(({ name }) => name)).toEqual(['one']);
  });

  test('published already: nothing, or only what is missing of the end', () => {
    const done = { images: BOTH, main: { ...MAIN, lock: LOCK, version: v('v1.1.0'), highestStable: v('v1.1.0') } };
    const latest = new Map([
      ['one', digest('1')],
      ['two', digest('2')],
    ]);
    expect(kinds(facts({ ...done, latest }))).toEqual([]);
    expect(kinds(facts(done))).toEqual(['latest']);
    expect(kinds(facts({ ...done, latest, main: { ...done.main, version: v('v1.0.0') } }))).toEqual([
      'finalize',
      'follow',
    ]);
  });

  test('a test release moves neither VERSION nor latest, a lower one neither', () => {
    const trial = planPublish(facts({ images: BOTH }, 'v1.1.0-dev.1'), 'all', [], 'bake');
    expect(trial.steps.map(({ kind }) => kind)).toEqual(['publish-verify', 'publish-finalize', 'publish-follow']);
    expect(trial.steps[1]?.title.en).toContain('VERSION stays');
    const main = { ...MAIN, version: v('v2.0.0'), highestStable: v('v2.0.0') };
    expect(kinds(facts({ images: BOTH, main }))).toEqual(['verify', 'finalize', 'follow']);
  });

  test('a checkout that cannot follow is left alone', () => {
    expect(kinds(facts({ images: BOTH, canFollow: false }))).toEqual(['verify', 'finalize', 'latest']);
  });

  test('one image alone; only the end', () => {
    const images = new Map([['one', null]]);
    expect(kinds(facts({ images, main: null }), { image: 'one' })).toEqual(['build', 'verify']);
    expect(kinds(facts({ images: new Map([['one', there('1')]]), main: null }), { image: 'one' })).toEqual([]);
    expect(kinds(facts({ images: BOTH }), 'finalize')).toEqual(['finalize', 'latest', 'follow']);
  });
});

describe('refused with exit 6, before anything', () => {
  const cases: [string, () => unknown, string][] = [
    [
      'a name that holds another commit',
      () => imagesToBuild(facts({ images: new Map([['one', there('1', { revision: OTHER })]]) })),
      'from commit dddddddddd, not from cccccccccc',
    ],
    [
      'a name that does not say where it comes from',
      () => imagesToBuild(facts({ images: new Map([['one', there('1', { revision: null })]]) })),
      'an unknown commit',
    ],
    [
      'a published image that is gone',
      () => imagesToBuild(facts({ images: new Map([['one', null]]), main: { ...MAIN, lock: LOCK } })),
      'team/one:v1.1.0 is gone',
    ],
    [
      'a published image that has moved',
      () => imagesToBuild(facts({ images: new Map([['one', there('9')]]), main: { ...MAIN, lock: LOCK } })),
      `${digest('1')} in releases/v1.1.0.json`,
    ],
    [
      'a git tag that has moved',
      () => imagesToBuild(facts({ images: BOTH, main: { ...MAIN, lock: { ...LOCK, commit: OTHER } } })),
      'its git tag has been moved',
    ],
    [
      'finalizing without an image',
      () => kinds(facts({ images: new Map([['one', there('1')]]) }), 'finalize'),
      'team/two:v1.1.0 is not in the registry',
    ],
  ];
  test.each(cases)('%s', (_name, work, text) => {
    const error = refusal(work);
    expect(error.exitCode).toBe(6);
    expect(error.text.en).toContain(text);
  });

  test('images that no machine can run together', () => {
    const images = new Map([
      ['one', there('1', { platforms: { 'linux/amd64': digest('1') } })],
      ['two', there('2', { platforms: { 'linux/arm64': digest('2') } })],
    ]);
    const [only] = shortcomings({ ...facts().publication }, images);
    expect(only?.text.en).toBe('the images have no platform in common: one (linux/amd64), two (linux/arm64)');
  });
});

test('an unknown image is refused with what was meant', () => {
  const error = refusal(() => requireImage('server', [image('xingrin-server'), image('xingrin-agent')]));
  expect(error.exitCode).toBe(2);
  expect(error.details.hint?.en).toContain('xingrin-server');
});

test.each([
  ['git@github.com:team/product.git', 'https://github.com/team/product'],
  ['ssh://git@git.example.com:2222/team/product.git', 'https://git.example.com/team/product'],
  ['https://user:secret@git.example.com/team/product.git', 'https://git.example.com/team/product'],
  ['https://git.example.com/team/product', 'https://git.example.com/team/product'],
  ['/srv/git/product.git', '/srv/git/product'],
])('the source of %s is %s', (address, source) => {
  expect(sourceOf(address)).toBe(source);
});
