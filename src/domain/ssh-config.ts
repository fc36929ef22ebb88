import { fitsGlob, fitsGlobs } from './glob.ts';

/** What ~/.ssh/config says of a host, as far as it matters to us. */
export interface SshSettings {
  readonly hostName: string | null;
  readonly user: string | null;
  readonly port: string | null;
  /** In the order in which they are to be tried; `~` and `%` as they stand. */
  readonly identityFiles: readonly string[];
  /** `[user@]host[:port]`, several with commas; null for none. */
  readonly proxyJump: string | null;
  /** A program shall make the connection, which only the `ssh` program can do. */
  readonly proxyCommand: boolean;
}

interface Directive {
  readonly keyword: string;
  readonly args: readonly string[];
  /** All must hold for the directive to count. */
  readonly when: readonly Condition[];
}

type Condition = (facts: Facts) => boolean;

interface Facts {
  /** As typed. */
  readonly alias: string;
  /** What the lines before have made of it. */
  readonly hostName: string;
  readonly user: string | null;
  readonly localUser: string;
}

/** A file that includes itself would have no end; ssh stops at the same depth. */
const DEEPEST = 16;

/**
 * Looks a host up in an ssh_config text: of every keyword the first value counts, of IdentityFile all do. `Match` knows all, host,
 * originalhost, user and localuser; blocks with other criteria are left out, so that looking never runs a program.
 *
 * @param include the texts of the files that a pattern of Include names
 */
export function lookUpSsh(
  text: string,
  alias: string,
  localUser: string,
  include: (pattern: string) => readonly string[] = () => [],
): SshSettings {
  const found = new Map<string, string>();
  const identityFiles: string[] = [];
  for (const { keyword, args, when } of directivesOf(text, [], include, 0)) {
    const facts = { alias, hostName: found.get('hostname') ?? alias, user: found.get('user') ?? null, localUser };
    const [value] = args;
    if (value === undefined || !when.every((holds) => holds(facts))) continue;
    if (keyword === 'identityfile') identityFiles.push(value);
    // Whichever of the two comes first decides.
    else if (keyword === 'proxyjump' && found.has('proxycommand')) continue;
    else if (keyword === 'proxycommand' && found.has('proxyjump')) continue;
    else if (!found.has(keyword)) found.set(keyword, value);
  }
  const jump = found.get('proxyjump') ?? 'none';
  return {
    hostName: found.get('hostname')?.replace(/%[%h]/g, (token) => (token === '%h' ? alias : '%')) ?? null,
    user: found.get('user') ?? null,
    port: found.get('port') ?? null,
    identityFiles: identityFiles.filter((file) => file !== 'none'),
    proxyJump: jump === 'none' ? null : jump,
    proxyCommand: (found.get('proxycommand') ?? 'none') !== 'none',
  };
}

/** `~`, `%d` (home), `%u` (who I am), `%h`, `%r` (host and user there) in a path; null for one with other tokens. */
export function expandIdentity(
  path: string,
  facts: { readonly home: string; readonly localUser: string; readonly host: string; readonly user: string },
): string | null {
  const values: Record<string, string> = { '%': '%', d: facts.home, u: facts.localUser, h: facts.host, r: facts.user };
  let known = !path.includes('${');
  const expanded = path.replace(/%(.?)/g, (_token, name: string) => {
    const value = values[name];
    known &&= value !== undefined;
    return value ?? '';
  });
  if (!known) return null;
  return expanded.startsWith('~/') ? `${facts.home}${expanded.slice(1)}` : expanded;
}

function directivesOf(
  text: string,
  outer: readonly Condition[],
  include: (pattern: string) => readonly string[],
  depth: number,
): Directive[] {
  const directives: Directive[] = [];
  let when = outer;
  for (const line of text.split(/\r?\n/)) {
    const [keyword, ...args] = wordsOf(line);
    if (keyword === undefined) continue;
    const name = keyword.toLowerCase();
    if (name === 'host') when = [...outer, ({ alias }) => fitsGlobs(args, alias)];
    else if (name === 'match') when = [...outer, matchOf(args)];
    else if (name === 'include') {
      if (depth >= DEEPEST) continue;
      for (const other of args.flatMap(include)) directives.push(...directivesOf(other, when, include, depth + 1));
    } else directives.push({ keyword: name, args, when });
  }
  return directives;
}

/** `Keyword value`, `Keyword=value`, words in double quotes, `#` at the start of a word for a comment. */
function wordsOf(line: string): string[] {
  const [, keyword, rest = ''] = /^\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)$/.exec(line) ?? [];
  if (keyword === undefined) return [];
  const words: string[] = [];
  for (const [, inQuotes, bare] of rest.matchAll(/"([^"]*)"|(\S+)/g)) {
    if (bare?.startsWith('#') === true) break;
    words.push(inQuotes ?? bare ?? '');
  }
  return [keyword, ...words];
}

function matchOf(criteria: readonly string[]): Condition {
  const conditions: Condition[] = [];
  for (let index = 0; index < criteria.length; index += 1) {
    const word = criteria[index] ?? '';
    const name = word.replace(/^!/, '').toLowerCase();
    if (name === 'all') continue;
    const patterns = (criteria[(index += 1)] ?? '').split(',');
    const condition = criterion(name, patterns);
    if (condition === null) return () => false;
    conditions.push(word.startsWith('!') ? (facts) => !condition(facts) : condition);
  }
  return (facts) => conditions.every((holds) => holds(facts));
}

function criterion(name: string, patterns: readonly string[]): Condition | null {
  switch (name) {
    case 'host':
      return ({ hostName }) => fitsGlobs(patterns, hostName);
    case 'originalhost':
      return ({ alias }) => fitsGlobs(patterns, alias);
    case 'user':
      return ({ user, localUser }) => fitsGlobs(patterns, user ?? localUser);
    case 'localuser':
      return ({ localUser }) => patterns.some((pattern) => fitsGlob(pattern, localUser));
    default:
      return null;
  }
}
