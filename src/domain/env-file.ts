import { fail } from './errors.ts';
import type { Text } from './text.ts';

/** One `KEY=value` of an env file. Offsets count UTF-16 units of the whole text. */
interface EnvEntry {
  readonly key: string;
  /** What Compose makes of it; undefined for a `KEY` without `=` that the environment does not hold. */
  readonly value: string | undefined;
  /** First and last line, counted from 1. */
  readonly line: number;
  readonly lastLine: number;
  /** `KEY` alone, which takes its value from the environment. */
  readonly bare: boolean;
  /** Where the value is written, with its quotes, without the comment behind it. */
  readonly from: number;
  readonly to: number;
}

/** An env file as Compose reads it, with the place of everything. */
export interface EnvFile {
  readonly path: string;
  readonly text: string;
  readonly entries: readonly EnvEntry[];
}

/** A key that only the example has, with its lines as they stand there: the comment above, then the key. */
export interface MissingKey {
  readonly key: string;
  readonly lines: readonly string[];
}

/** A comment line above a key of .env.example that asks for a value of its own on every installation. */
const SECRET_MARK = '# xingrin:secret';

/** Space within a line, and space with line ends, as Compose understands them. */
const GAP = '\\t\\v\\f\\r \\u0085\\u00a0';
const SPACE = `${GAP}\\n\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000`;
const BETWEEN = new RegExp(`(?:[${SPACE}]+|#[^\\n]*)*`, 'y');
const NAME = new RegExp(`(?:export[\\t\\f\\r ][${GAP}]*)?([\\p{L}\\p{N}_.\\-[\\]${GAP}]*)`, 'uy');
const LEADING = new RegExp(`^[${GAP}]+`);
const TRAILING = new RegExp(`[${SPACE}]+$`);
const AFTER_QUOTE = new RegExp(`[${SPACE.replace('\\n', '')}]*(?:#|\\n|$)`, 'y');
const BOM = '\ufeff';

/**
 * Reads an env file by Compose's rules: comments, `export`, quotes, escapes, values over several lines, `$X` and `${X:-default}`
 * from `environment` and from earlier keys. Throws BAD_INPUT (exit 2) that names path and line, and never shows a value.
 */
export function parseEnvFile(text: string, path: string, environment: Environment = {}): EnvFile {
  const lineAt = lineCounter(text);
  const entries: EnvEntry[] = [];
  const known = new Map<string, string>();
  const lookup = (key: string): string | undefined => environment[key] ?? known.get(key);
  const refuse = (at: number, rule: Text): never => refuseLine(path, lineAt(at), rule);
  if (text.includes('\0')) refuse(text.indexOf('\0'), RULES.nul);

  let at = text.startsWith(BOM) ? BOM.length : 0;
  for (;;) {
    at = endOf(BETWEEN, text, at);
    if (at >= text.length) break;
    const { key, end, bare } = readKey(text, at, refuse);
    const raw = bare
      ? { from: end, to: end, next: end, value: environment[key] }
      : readValue(text, end, lookup, refuse);
    if (raw.value !== undefined) known.set(key, raw.value);
    const last = Math.max(raw.from, raw.to - 1);
    entries.push({ key, value: raw.value, line: lineAt(at), lastLine: lineAt(last), bare, from: raw.from, to: raw.to });
    at = raw.next;
  }
  return { path, text, entries };
}

/** The value that Compose sees: of a key that stands twice, the last. Undefined if it is not there. */
export function envValue(file: EnvFile, key: string): string | undefined {
  return file.entries.findLast((entry) => entry.key === key)?.value;
}

/**
 * The text with new values. Nothing else of it changes, not even where the new value is the old one. Keys that are not there are
 * appended; null makes a key empty and adds none. Throws BAD_INPUT (exit 2) for a file that cannot be read, for a key to be
 * changed that stands twice, and for a value that no environment can hold.
 */
export function setEnvValues(text: string, path: string, changes: Readonly<Record<string, string | null>>): string {
  const file = parseEnvFile(text, path);
  const damaged = text.indexOf('\ufffd');
  if (damaged >= 0) refuseLine(path, lineCounter(text)(damaged), RULES.encoding);
  const edits: { readonly from: number; readonly to: number; readonly with: string }[] = [];
  const added: string[] = [];
  for (const [key, wanted] of Object.entries(changes)) {
    const [entry, second] = file.entries.filter((each) => each.key === key);
    if (entry === undefined) {
      if (wanted !== null) added.push(`${key}=${encodeEnvValue(wanted)}`);
    } else if (second !== undefined) {
      refuseTwice(path, key, entry.line, second.line);
    } else if (!stands(text, entry, wanted ?? '')) {
      edits.push({ from: entry.from, to: entry.to, with: encodedFor(text, entry, wanted ?? '') });
    }
  }
  let edited = text;
  for (const edit of edits.toSorted((a, b) => b.from - a.from)) {
    edited = edited.slice(0, edit.from) + edit.with + edited.slice(edit.to);
  }
  return appendLines(edited, added);
}

/** Lines at the end of a text, with the line end that the text has. */
export function appendLines(text: string, lines: readonly string[]): string {
  if (lines.length === 0) return text;
  const end = lineEnd(text);
  const open = text !== '' && text !== BOM && !text.endsWith('\n');
  return `${text}${open ? end : ''}${lines.join(end)}${end}`;
}

/**
 * A value so written that Compose, through `${KEY}` and through `env_file`, gives the container exactly it. Throws BAD_INPUT
 * (exit 2) for NUL, which no environment can hold, and for broken characters, which come back from no file.
 */
export function encodeEnvValue(value: string): string {
  if (value === '' || /^[\w.,:/@%+=~-]+$/.test(value)) return value;
  return quote(value);
}

/** The keys that `exampleText` has and `envText` has not, in their order. Throws BAD_INPUT (exit 2) if one cannot be read. */
export function missingKeys(exampleText: string, envText: string, paths: EnvPaths = PATHS): MissingKey[] {
  const present = new Set(parseEnvFile(envText, paths.env).entries.map((entry) => entry.key));
  const example = parseEnvFile(exampleText, paths.example);
  const lines = linesOf(exampleText);
  const missing: MissingKey[] = [];
  for (const entry of example.entries) {
    if (present.has(entry.key)) continue;
    present.add(entry.key);
    const comment = commentAbove(lines, entry.line);
    missing.push({ key: entry.key, lines: [...comment, ...lines.slice(entry.line - 1, entry.lastLine)] });
  }
  return missing;
}

/** The keys of the example that get a random value: those `configured`, and those with {@link SECRET_MARK} above them. */
export function secretKeys(exampleText: string, configured: readonly string[], path: string = PATHS.example): string[] {
  const lines = linesOf(exampleText);
  const keys = parseEnvFile(exampleText, path).entries.filter(
    ({ key, line }) =>
      configured.includes(key) || commentAbove(lines, line).some((comment) => comment.trim() === SECRET_MARK),
  );
  return [...new Set(keys.map(({ key }) => key))];
}

/** The first env file of an installation: the example with values. Throws as {@link setEnvValues}, naming the example. */
export function createEnv(
  exampleText: string,
  values: Readonly<Record<string, string | null>>,
  path: string = PATHS.example,
): string {
  return setEnvValues(exampleText, path, values);
}

type Environment = Readonly<Record<string, string | undefined>>;
type Lookup = (key: string) => string | undefined;
type Refuse = (at: number, rule: Text) => never;

interface EnvPaths {
  readonly example: string;
  readonly env: string;
}

const PATHS: EnvPaths = { example: 'docker/.env.example', env: 'docker/.env' };

interface RawValue {
  readonly value: string;
  readonly from: number;
  readonly to: number;
  /** Where the next statement may begin. */
  readonly next: number;
}

function readKey(text: string, at: number, refuse: Refuse): { key: string; end: number; bare: boolean } {
  NAME.lastIndex = at;
  const match = NAME.exec(text);
  const written = match?.[1] ?? '';
  const end = at + (match?.[0].length ?? 0);
  const key = written.replace(TRAILING, '');
  const sign = text[end];
  if (sign !== undefined && !'=:\n'.includes(sign)) refuse(at, RULES.key);
  if (key === '') refuse(at, RULES.noKey);
  if (new RegExp(`[${SPACE}]`).test(key)) refuse(at, RULES.key);
  if (sign === undefined) refuse(at, RULES.bareEnd);
  const bare = sign === '\n';
  return { key, end: bare ? end - (written.length - key.length) : end + 1, bare };
}

function readValue(text: string, after: number, lookup: Lookup, refuse: Refuse): RawValue {
  const newline = text.indexOf('\n', after);
  const stop = newline < 0 ? text.length : newline;
  const line = text.slice(after, stop);
  const gap = LEADING.exec(line)?.[0].length ?? 0;
  const first = line[gap];
  if (first === '"' || first === "'") return readQuoted(text, after + gap, first, lookup, refuse);

  const comment = line.indexOf(' #', gap);
  const written = line.slice(gap, comment < 0 ? undefined : comment).replace(TRAILING, '');
  const value = substituted(written, lookup, (rule) => refuse(after, rule));
  // Compose takes `KEY= # words` for the value `# words`, a person for a comment: it is read like the one, kept like the other.
  const isComment = gap > 0 && written.startsWith('#');
  if (written === '' || isComment) return { value, from: after, to: after, next: stop };
  return { value, from: after + gap, to: after + gap + written.length, next: stop };
}

function readQuoted(text: string, start: number, mark: string, lookup: Lookup, refuse: Refuse): RawValue {
  let inside = '';
  let at = start + 1;
  for (; text[at] !== mark; at += 1) {
    if (at >= text.length) refuse(start, RULES.open);
    if (text[at] !== '\\') {
      inside += text[at];
      continue;
    }
    // Only the quote loses its backslash here; what the others mean is decided once the end is found.
    at += 1;
    if (at >= text.length) refuse(start, RULES.open);
    inside += text[at] === mark ? mark : `\\${text[at]}`;
  }
  const to = at + 1;
  AFTER_QUOTE.lastIndex = to;
  if (!AFTER_QUOTE.test(text)) refuse(to, RULES.behind);
  const value = mark === "'" ? inside : substituted(withoutEscapes(inside), lookup, (rule) => refuse(start, rule));
  return { value, from: start, to, next: to };
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  $: '$$',
  '"': '"',
  '\\': '\\',
};

function withoutEscapes(inside: string): string {
  return inside.replace(/\\(?:([abfnrtv$"\\])|0(\d{0,3}))/g, (_all, letter: string | undefined, digits: string) => {
    if (letter !== undefined) return ESCAPES[letter] ?? letter;
    return /^[0-3][0-7]{2}$/.test(digits) ? String.fromCharCode(Number.parseInt(digits, 8)) : `\\${digits}`;
  });
}

const REFERENCE = /\$(?:(\$)|([_a-z][_a-z0-9]*)|\{(?:([_a-z][_a-z0-9]*)(?:(:?[-+?])([^\n]*))?\}|))/gi;

/** `$X`, `${X}`, `${X:-default}` and their kin, as in a compose file. */
function substituted(text: string, lookup: Lookup, refuse: (rule: Text) => never): string {
  return text.replace(
    REFERENCE,
    (whole: string, dollar?: string, plain?: string, braced?: string, sign?: string, body?: string) => {
      if (dollar !== undefined) return '$';
      const name = plain ?? braced ?? refuse(RULES.template);
      const value = lookup(name);
      if (sign === undefined) return value ?? '';
      // The pattern ran to the last brace of the line; the one that closes this reference may come earlier.
      const close = closingBrace(whole);
      const own = close < 0 ? (body ?? '') : whole.slice(2 + name.length + sign.length, close);
      const rest = close < 0 ? '' : whole.slice(close + 1);
      const isSet = sign.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
      const kind = sign.at(-1);
      if (kind === '?' && !isSet) refuse(RULES.required);
      const takesBody = kind === '-' ? !isSet : kind === '+' && isSet;
      // Compose 2.26 reads the default also where it is not needed, and refuses the file if it cannot.
      const other = substituted(own, lookup, refuse);
      return (takesBody ? other : (value ?? '')) + substituted(rest, lookup, refuse);
    },
  );
}

function closingBrace(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '}') {
      depth -= 1;
      if (depth === 0) return at;
    } else if (text[at] === '{') {
      depth += 1;
      at += 1;
    }
  }
  return -1;
}

/** Whether the file already says this, in plain words: a value that refers to others is not left to them. */
function stands(text: string, entry: EnvEntry, value: string): boolean {
  return !entry.bare && entry.value === value && !text.slice(entry.from, entry.to).includes('$');
}

function encodedFor(text: string, entry: EnvEntry, value: string): string {
  const sign = entry.bare ? '=' : '';
  const lineAfter = text.slice(entry.to).split('\n', 1)[0] ?? '';
  // Before a comment an empty value needs quotes, and so does every value that the comment touches.
  const hugged = !/^\s|^$/.test(lineAfter);
  const commented = value === '' && lineAfter.trim() !== '';
  return sign + (hugged || commented ? quote(value) : encodeEnvValue(value));
}

function quote(value: string): string {
  if (value.includes('\0')) refuseValue({ en: 'no environment can hold NUL', zh: '环境变量不能含 NUL' });
  if (/[\p{Cs}\ufffd]/u.test(value)) refuseValue({ en: 'it is not valid Unicode', zh: '不是有效的 Unicode' });
  const escaped = value
    .replace(/[\\"$]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
  return `"${escaped}"`;
}

/** The comment lines directly above a line. */
function commentAbove(lines: readonly string[], line: number): string[] {
  let first = line - 1;
  while (first > 0 && /^\s*#/.test(lines[first - 1] ?? '')) first -= 1;
  return lines.slice(first, line - 1);
}

function linesOf(text: string): string[] {
  return text.replace(BOM, '').split(/\r?\n/);
}

function lineEnd(text: string): string {
  const last = text.lastIndexOf('\n');
  return last > 0 && text[last - 1] === '\r' ? '\r\n' : '\n';
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(text)?.[0].length ?? 0);
}

/** Line numbers for offsets that mostly grow. */
function lineCounter(text: string): (at: number) => number {
  let seen = 0;
  let line = 1;
  return (at) => {
    if (at < seen) [seen, line] = [0, 1];
    for (let next = text.indexOf('\n', seen); next >= 0 && next < at; next = text.indexOf('\n', seen)) {
      seen = next + 1;
      line += 1;
    }
    return line;
  };
}

const RULES = {
  nul: { en: 'a NUL character', zh: '含有 NUL 字符' },
  key: {
    en: 'a line must begin with # or be KEY=value, the key of letters, digits, _ . and - only',
    zh: '每行必须以 # 开头,或写成 KEY=value,键名只能含字母、数字、_ . 和 -',
  },
  noKey: { en: 'there is no key before =', zh: '= 之前缺少键名' },
  bareEnd: { en: 'a key without = needs a line end behind it', zh: '没有 = 的键名之后必须换行' },
  open: { en: 'the quote that opens here is never closed', zh: '此处的引号没有闭合' },
  behind: { en: 'only a comment may follow the closing quote', zh: '闭合引号之后只能跟注释' },
  template: {
    en: '${ must be followed by a name and }; write \\$ in double quotes for a dollar sign',
    zh: '${ 之后必须是变量名和 };若要写美元符号,请在双引号中写 \\$',
  },
  required: { en: 'it refers to a required variable that is not set', zh: '引用了未设置的必需变量' },
  encoding: { en: 'it is not valid UTF-8', zh: '不是有效的 UTF-8' },
} satisfies Record<string, Text>;

function refuseLine(path: string, line: number, rule: Text): never {
  return fail('BAD_INPUT', {
    en: `${path}, line ${line}: ${rule.en}`,
    zh: `${path} 第 ${line} 行:${rule.zh}`,
  });
}

function refuseTwice(path: string, key: string, first: number, second: number): never {
  return fail(
    'BAD_INPUT',
    {
      en: `${path}: ${key} stands twice, in line ${first} and in line ${second}`,
      zh: `${path}:${key} 出现了两次,分别在第 ${first} 行和第 ${second} 行`,
    },
    {
      hint: {
        en: `delete one of the two lines; Compose uses the one in line ${second}`,
        zh: `请删除其中一行;Compose 使用的是第 ${second} 行`,
      },
    },
  );
}

function refuseValue(rule: Text): never {
  return fail('BAD_INPUT', { en: `a value for an env file: ${rule.en}`, zh: `env 文件的值:${rule.zh}` });
}
