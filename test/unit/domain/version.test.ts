import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bump,
  compareVersions,
  developmentTag,
  highest,
  isPrerelease,
  isVersion,
  parseImageTag,
  parseVersion,
  versionFromFile,
  type Version,
} from '../../../src/domain/version.ts';
import { refusal } from '../refusal.ts';

function v(text: string): Version {
  return parseVersion(text, 'test');
}

describe('parseVersion', () => {
  it.each(['v1.2.3', 'v0.0.0', 'v1.2.3-dev.4', 'v1.0.0-rc.1', 'v10.20.30-a-b.0', `v${Number.MAX_SAFE_INTEGER}.0.0`])(
    'takes %s',
    (text) => expect(parseVersion(text, 'version')).toBe(text),
  );

  it.each([
    ['v1.2', 'three numbers'],
    ['v1.2.3.4', 'three numbers'],
    ['v1.2.3-', 'three numbers'],
    ['v1.2.3-a..b', 'three numbers'],
    ['v1.2.3-dev.', 'three numbers'],
    ['v', 'three numbers'],
    ['vv1.2.3', 'three numbers'],
    ['v01.2.3', 'begin with 0'],
    ['v1.02.3', 'begin with 0'],
    ['v1.2.03', 'begin with 0'],
    ['v1.2.3-dev.01', 'begin with 0'],
    ['v1.2.3+b', 'build metadata'],
    ['v1;touch x', 'spaces'],
    ['v1;touch', 'ASCII letters'],
    ['v1.2.3;', 'ASCII letters'],
    ['$(id)', 'small v'],
    ['-v1.2.3', 'small v'],
    ['--version', 'small v'],
    ['latest', 'small v'],
    ['1.2.3', 'small v'],
    ['V1.2.3', 'small v'],
    ['', 'empty'],
    ['v1.2.3\n', 'one line'],
    ['v1.2.3\nv1.2.4', 'one line'],
    ['v1.2.3\r', 'one line'],
    ['v1.2.3\0', 'control'],
    ['v1.2.3\u001b[31m', 'control'],
    [' v1.2.3', 'spaces'],
    ['v1.2.3 ', 'spaces'],
    ['v1.2.3\u00a0', 'spaces'],
    ['\ufeffv1.2.3', 'spaces'],
    ['v1.2.３', 'ASCII letters'],
    ['v١.٢.٣', 'ASCII letters'],
    ['v1.2.3-\u202e', 'ASCII letters'],
    ['../../v1.2.3', 'small v'],
    ['v1.2.3/../x', 'ASCII letters'],
    [`v1.2.3-${'a'.repeat(300)}`, 'longer than'],
    ['x'.repeat(300), 'longer than'],
    ['v9007199254740992.0.0', 'above'],
    ['v1.2.3-dev.9007199254740992', 'above'],
    ['v1.2.3-dev', 'ends in -dev'],
    ['v1.2.3-rc.1-dev', 'ends in -dev'],
    ['v1.2.3-a.lock', '.lock'],
  ])('refuses %j and names the rule', (text, rule) => {
    const error = refusal(() => parseVersion(text, { en: 'the version', zh: '版本号' }));
    expect(isVersion(text)).toBe(false);
    expect(error.code).toBe('BAD_INPUT');
    expect(error.exitCode).toBe(2);
    expect(error.text.en).toContain(rule);
    expect(error.text.en.startsWith('the version: ')).toBe(true);
    expect(error.text.zh.startsWith('版本号:')).toBe(true);
  });

  it('shows no control character, no invisible character and no more than a line of what it refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        fc.pre(!isVersion(text));
        const { en, zh } = refusal(() => parseVersion(text, 'VERSION')).text;
        for (const message of [en, zh]) {
          expect(message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
          expect(message.length).toBeLessThan(220);
        }
      }),
    );
  });

  it('accepts only what is safe as git tag, image tag, file name and argument', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^v\d\.\d\.\d-[ -~]{0,12}$/), (text) => {
        if (isVersion(text)) expect(text).toMatch(/^v[\w][\w.-]*$/);
      }),
    );
  });
});

describe('order', () => {
  it('is SemVer precedence, numbers compared as numbers', () => {
    const sorted = ['v1.0.0-alpha', 'v1.0.0-dev.2', 'v1.0.0-dev.10', 'v1.0.0', 'v1.9.0', 'v1.10.0', 'v2.0.0-rc.1'];
    const shuffled = sorted.toReversed().map(v);
    expect(shuffled.toSorted(compareVersions)).toEqual(sorted);
    expect(highest(shuffled)).toBe('v2.0.0-rc.1');
    expect(highest([])).toBeNull();
  });

  it('knows test releases', () => {
    expect(isPrerelease(v('v1.2.3'))).toBe(false);
    expect(isPrerelease(v('v1.2.3-dev.1'))).toBe(true);
  });
});

describe('bump', () => {
  it.each([
    ['v1.2.3', 'major', [], 'v2.0.0'],
    ['v1.2.3', 'minor', [], 'v1.3.0'],
    ['v1.2.3', 'patch', ['v1.2.3'], 'v1.2.4'],
    ['v1.2.4-dev.2', 'patch', [], 'v1.2.4'],
    ['v1.2.3', 'dev', [], 'v1.2.4-dev.1'],
    ['v1.2.3', 'dev', ['v1.2.4-dev.2', 'v1.2.4-dev.10', 'v1.2.5-dev.40', 'v1.2.4-dev.x'], 'v1.2.4-dev.11'],
    ['v1.2.4-dev.3', 'dev', [], 'v1.2.4-dev.4'],
  ] as const)('%s by %s with %j is %s', (from, kind, existing, expected) => {
    expect(bump(v(from), kind, existing.map(v))).toBe(expected);
  });

  it('is always higher than what it came from', () => {
    const number = fc.integer({ min: 0, max: 1_000_000 });
    const kinds = fc.constantFrom('major' as const, 'minor' as const, 'patch' as const, 'dev' as const);
    fc.assert(
      fc.property(number, number, number, fc.option(number), kinds, (a, b, c, n, kind) => {
        const from = v(`v${a}.${b}.${c}${n === null ? '' : `-dev.${n}`}`);
        expect(compareVersions(bump(from, kind, []), from)).toBe(1);
      }),
    );
  });

  it('refuses to go above the last number', () => {
    const error = refusal(() => bump(v(`v1.2.${Number.MAX_SAFE_INTEGER}`), 'patch', []));
    expect(error.code).toBe('BAD_INPUT');
  });
});

describe('versionFromFile', () => {
  it.each(['v1.2.3', 'v1.2.3\n', 'v1.2.3\r\n'])('reads %j', (text) =>
    expect(versionFromFile(text, 'VERSION')).toBe('v1.2.3'),
  );

  it.each(['', '\n', 'v1.2.3\n\n', 'v1.2.3\n# note\n', ' v1.2.3\n', 'v1.2.3\r', '\ufeffv1.2.3\n', '<<<<<<< HEAD\nv1'])(
    'refuses %j and names the file',
    (text) => {
      const error = refusal(() => versionFromFile(text, 'VERSION'));
      expect(error.exitCode).toBe(2);
      expect(error.text.en).toMatch(/^VERSION: /);
    },
  );
});

describe('parseImageTag', () => {
  it('takes a version, or a version built here', () => {
    expect(parseImageTag('v1.2.3', 'IMAGE_TAG')).toEqual({ tag: 'v1.2.3', version: 'v1.2.3', development: false });
    expect(parseImageTag(developmentTag(v('v1.2.3-rc.1')), 'IMAGE_TAG')).toEqual({
      tag: 'v1.2.3-rc.1-dev',
      version: 'v1.2.3-rc.1',
      development: true,
    });
  });

  it.each(['latest', '', '-dev', 'v1.2.3-dev-dev', '<<<<<<<HEAD', '__IMAGE_TAG__'])('refuses %j', (text) => {
    expect(refusal(() => parseImageTag(text, 'IMAGE_TAG')).text.en).toMatch(/^IMAGE_TAG: /);
  });
});
