import semver from 'semver';
import { fail } from './errors.ts';
import { quoted } from './quote.ts';
import { same, type Text } from './text.ts';

declare const version: unique symbol;

/** `v1.2.3` or `v1.2.3-dev.4`: strict SemVer with a leading `v`, safe as git tag, as image tag and as file name. */
export type Version = string & { readonly [version]: true };

/** What IMAGE_TAG may hold: a version, or `<version>-dev` for images that were built here. */
export interface ImageTag {
  readonly tag: string;
  readonly version: Version;
  readonly development: boolean;
}

export type Bump = 'major' | 'minor' | 'patch' | 'dev';

const DEVELOPMENT = '-dev';

/** An image tag has room for 128 characters; development images append theirs. */
const LONGEST = 128 - DEVELOPMENT.length;

/** Reads a version. Throws BAD_INPUT (exit 2) that names `field` and the rule, without control characters of the input. */
export function parseVersion(text: string, field: Text | string): Version {
  if (isVersion(text)) return text;
  return refuse(text, field, brokenRule(text) ?? NOT_SEMVER);
}

export function isVersion(text: string): text is Version {
  return brokenRule(text) === null;
}

/** Negative if `a` is older than `b`, positive if it is newer, by SemVer's precedence. */
export function compareVersions(a: Version, b: Version): -1 | 0 | 1 {
  return semver.compare(a, b);
}

/** The newest of them; null of none. */
export function highest(versions: Iterable<Version>): Version | null {
  let best: Version | null = null;
  for (const each of versions) if (best === null || compareVersions(each, best) > 0) best = each;
  return best;
}

/** Whether this is a test release, which moves neither VERSION nor `latest`. */
export function isPrerelease(text: Version): boolean {
  return text.includes('-');
}

/**
 * The version after `from`. `dev` is a test release of the next patch version, numbered one above the highest of its kind in
 * `existing`. Throws BAD_INPUT (exit 2) where the numbers end.
 */
export function bump(from: Version, kind: Bump, existing: Iterable<Version>): Version {
  if (kind !== 'dev') return increased(from, kind);
  const prefix = `${increased(from, 'patch')}-dev.`;
  let last = 0;
  for (const each of [from, ...existing]) {
    const number = each.startsWith(prefix) ? each.slice(prefix.length) : '';
    if (/^\d+$/.test(number)) last = Math.max(last, Number(number));
  }
  return parseVersion(`${prefix}${last + 1}`, { en: 'the next test release', zh: '下一个测试版本' });
}

/**
 * The version that a VERSION file holds: one line and nothing else, with or without a line end.
 * Throws BAD_INPUT (exit 2) that names `path` and the rule.
 */
export function versionFromFile(text: string, path: string): Version {
  const line = text.replace(/\r?\n$/, '');
  if (/[\r\n]/.test(line)) refuse(text, path, ONE_LINE);
  return parseVersion(line, path);
}

/** Reads an IMAGE_TAG. Throws BAD_INPUT (exit 2) that names `field` and the rule. */
export function parseImageTag(text: string, field: Text | string): ImageTag {
  const development = text.endsWith(DEVELOPMENT);
  const base = development ? text.slice(0, -DEVELOPMENT.length) : text;
  return { tag: text, version: parseVersion(base, field), development };
}

/** The image tag of what development mode builds here for a version. */
export function developmentTag(of: Version): string {
  return `${of}${DEVELOPMENT}`;
}

function increased(from: Version, kind: 'major' | 'minor' | 'patch'): Version {
  return parseVersion(`v${semver.inc(from, kind) ?? ''}`, { en: 'the next version', zh: '下一个版本' });
}

function refuse(text: string, field: Text | string, rule: Text): never {
  const where = typeof field === 'string' ? same(field) : field;
  return fail(
    'BAD_INPUT',
    {
      en: `${where.en}: ${quoted(text)} is not a version: ${rule.en}`,
      zh: `${where.zh}:${quoted(text)} 不是有效的版本号:${rule.zh}`,
    },
    {
      hint: {
        en: 'versions look like v1.2.3, test releases like v1.2.3-dev.4',
        zh: '版本号形如 v1.2.3,测试版本形如 v1.2.3-dev.4',
      },
    },
  );
}

const NOT_SEMVER: Text = {
  en: 'it must be v and three numbers, as in v1.2.3 (strict SemVer with a leading v)',
  zh: '必须是 v 加三个数字,例如 v1.2.3(带前缀 v 的严格 SemVer)',
};
const ONE_LINE: Text = { en: 'it must be one line without line breaks', zh: '必须只有一行,不能含换行' };

/** In the order in which a reader would notice them. Only the last is needed to be right; the others say it better. */
const RULES: readonly { readonly broken: (text: string) => boolean; readonly rule: Text }[] = [
  { broken: (text) => text === '', rule: { en: 'it must not be empty', zh: '不能为空' } },
  { broken: (text) => /[\r\n]/.test(text), rule: ONE_LINE },
  {
    broken: (text) => text.length > LONGEST,
    rule: { en: `it must not be longer than ${LONGEST} characters`, zh: `长度不能超过 ${LONGEST} 个字符` },
  },
  {
    broken: (text) => /\p{Cc}/u.test(text),
    rule: { en: 'it must not hold control characters', zh: '不能含控制字符' },
  },
  { broken: (text) => /\s/u.test(text), rule: { en: 'it must not hold spaces', zh: '不能含空格' } },
  { broken: (text) => !text.startsWith('v'), rule: { en: 'it must begin with a small v', zh: '必须以小写 v 开头' } },
  {
    broken: (text) => /^[0-9A-Za-z.+-]+$/.test(text) && text.includes('+'),
    rule: { en: 'it must not hold build metadata (+…)', zh: '不能含构建元数据(+…)' },
  },
  {
    broken: (text) => !/^[0-9A-Za-z.-]*$/.test(text),
    rule: {
      en: 'it may hold ASCII letters, digits, dots and hyphens only',
      zh: '只能含 ASCII 字母、数字、点和连字符',
    },
  },
  {
    broken: (text) => /^v(0\d+\.\d+\.\d+|\d+\.0\d+\.\d+|\d+\.\d+\.0\d+)(-|$)/.test(text) || /[-.]0\d+(\.|$)/.test(text),
    rule: { en: 'its numbers must not begin with 0', zh: '数字不能以 0 开头' },
  },
  {
    broken: (text) => numbersOf(text).some((number) => !Number.isSafeInteger(Number(number))),
    rule: {
      en: `its numbers must not be above ${Number.MAX_SAFE_INTEGER}`,
      zh: `数字不能大于 ${Number.MAX_SAFE_INTEGER}`,
    },
  },
  { broken: (text) => semver.valid(text) !== text.slice(1), rule: NOT_SEMVER },
  {
    broken: (text) => text.endsWith(DEVELOPMENT),
    rule: {
      en: 'a name that ends in -dev is for images built here; number it, as in v1.2.3-dev.1',
      zh: '以 -dev 结尾的名称保留给本机构建的镜像;请加上编号,例如 v1.2.3-dev.1',
    },
  },
  {
    broken: (text) => text.endsWith('.lock'),
    rule: { en: 'git takes no tag that ends in .lock', zh: 'git 不接受以 .lock 结尾的标签' },
  },
];

function brokenRule(text: string): Text | null {
  return RULES.find(({ broken }) => broken(text))?.rule ?? null;
}

/** The dot-separated parts that are numbers; `1-dev` in `v1.2.1-dev.3` counts as the 1 that it is. */
function numbersOf(text: string): string[] {
  const [core = '', ...rest] = text.slice(1).split('-');
  return [...core.split('.'), ...rest.join('-').split('.')].filter((part) => /^\d+$/.test(part));
}
