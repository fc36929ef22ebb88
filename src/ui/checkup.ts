import { HOST_CHECKS, type Check, type CheckName, type Finding, type Mark } from '../domain/checkup.ts';
import type { Language, Text } from '../domain/text.ts';
import type { Palette } from './colors.ts';
import { indented, printable, table, wrapped } from './layout.ts';

const TITLES: Readonly<Record<CheckName, Text>> = {
  settings: { en: 'settings', zh: '设置' },
  versions: { en: 'versions', zh: '版本' },
  services: { en: 'services', zh: '服务' },
  tasks: { en: 'tasks run', zh: '任务镜像' },
  operations: { en: 'operations', zh: '操作' },
  inventory: { en: 'inventory', zh: '清单' },
  registry: { en: 'registry', zh: '镜像仓库' },
  tags: { en: 'image tags', zh: '镜像标签' },
  pulls: { en: 'pulls', zh: '拉取额度' },
  certificate: { en: 'certificate', zh: '证书' },
  git: { en: 'git remote', zh: 'git 远端' },
  login: { en: 'login', zh: '登录' },
  engine: { en: 'engine', zh: '引擎' },
  image: { en: 'image', zh: '任务镜像' },
  agent: { en: 'agent', zh: 'agent' },
  disk: { en: 'disk', zh: '磁盘' },
  clock: { en: 'clock', zh: '时钟' },
};

/** Columns that a long text is broken at. */
const LONGEST_LINE = 100;
/** So many ways to mend the same on several hosts are shown. */
const SHOWN = 3;

/** The same finding on one or more hosts. */
interface Shared {
  readonly finding: Finding;
  readonly hosts: string;
  readonly mends: readonly string[];
}
/** Findings that matter for the same reason and are mended in the same way. */
type Block = readonly [Shared, ...Shared[]];

/** Everything that was looked at, at a glance; then each finding, why it matters, and what to type. */
export function renderCheckup(
  checks: readonly Check[],
  findings: readonly Finding[],
  columns: number,
  language: Language,
  paint: Palette,
): string {
  const width = Math.min(columns, LONGEST_LINE);
  const blocks = [renderWhole(checks, language, paint), renderHosts(checks, language, paint)];
  for (const block of blocksOf(findings, language)) blocks.push(renderFinding(block, width, language, paint));
  blocks.push(verdict(findings, language, paint));
  return blocks.join('\n\n');
}

function renderWhole(checks: readonly Check[], language: Language, paint: Palette): string {
  return table(
    checks
      .filter(({ whole }) => whole)
      .map(({ name, mark, fact }) => [
        sign(mark, paint),
        TITLES[name][language],
        mark === 'unknown' ? paint.dim(printable(fact[language])) : printable(fact[language]),
      ]),
  );
}

/** A row a host, a column a check. What the main server is asked for the whole installation stands in its row, too. */
function renderHosts(checks: readonly Check[], language: Language, paint: Palette): string {
  const hosts = [...new Set(checks.map(({ host }) => host))];
  const head = [language === 'zh' ? '主机' : 'HOST', ...HOST_CHECKS.map((name) => TITLES[name][language])];
  const rows = hosts.map((host) => [
    printable(host),
    ...HOST_CHECKS.map((name) => {
      const found =
        checks.find((each) => each.host === host && each.name === name && !each.whole) ??
        checks.find((each) => each.host === host && each.name === name);
      return found === undefined ? paint.dim('-') : sign(found.mark, paint);
    }),
  ]);
  return table([head.map(paint.dim), ...rows]);
}

/** What was seen, where: one line each; then why it matters and what mends it, once. */
function renderFinding(block: Block, width: number, language: Language, paint: Palette): string {
  const margin = 2;
  const room = width - margin - 6;
  const [why, mend] = language === 'zh' ? ['影响', '处理'] : ['why ', 'mend'];
  const body = (title: string, lines: readonly string[], show: (line: string) => string): string =>
    indented(table(lines.map((line, index) => [index === 0 ? paint.dim(title) : '    ', show(line)])), margin);
  const [first] = block;
  const { finding, mends } = first;
  const shown = mends.length > SHOWN ? [...mends.slice(0, SHOWN), '…'] : mends;
  return [
    ...block.map(({ hosts, finding: { seen } }, index) => {
      const text = `${index === 0 ? `${hosts}: ` : ''}${printable(seen[language])}`;
      const head = indented(
        wrapped(text, width - margin)
          .map(paint.strong)
          .join('\n'),
        margin,
      );
      return index === 0 ? `${sign(finding.grave ? 'bad' : 'caution', paint)} ${head.slice(margin)}` : head;
    }),
    body(why, wrapped(printable(finding.why[language]), room), (line) => line),
    body(
      mend,
      shown.flatMap((line) => wrapped(printable(line), room)),
      paint.command,
    ),
  ].join('\n');
}

/** The same on several hosts is said once, and of what is alike on the same hosts the reason and the mend are. */
function blocksOf(findings: readonly Finding[], language: Language): Block[] {
  const blocks = new Map<string, Block>();
  for (const group of groupedBy(findings, ({ code, seen }) => `${code}\n${seen.en}`)) {
    const [finding] = group;
    const hosts = [...new Set(group.map(({ host }) => host))].map(printable).join(', ');
    const mends = [...new Set(group.map(({ mend }) => mend[language]))];
    const shared: Shared = { finding, hosts, mends };
    const key = [finding.code, finding.grave, hosts, finding.why.en, ...mends].join('\n');
    const block = blocks.get(key);
    blocks.set(key, block === undefined ? [shared] : [...block, shared]);
  }
  return [...blocks.values()];
}

function groupedBy<T>(all: readonly T[], key: (each: T) => string): (readonly [T, ...T[]])[] {
  const groups = new Map<string, readonly [T, ...T[]]>();
  for (const each of all) {
    const group = groups.get(key(each));
    groups.set(key(each), group === undefined ? [each] : [...group, each]);
  }
  return [...groups.values()];
}

function verdict(findings: readonly Finding[], language: Language, paint: Palette): string {
  const bad = findings.filter(({ grave }) => grave).length;
  const fixable = findings.filter(({ fix }) => fix !== undefined).length;
  if (findings.length === 0) return `${sign('good', paint)} ${language === 'zh' ? '一切正常' : 'all is well'}`;
  const counts: Text = {
    en: `${bad} wrong, ${findings.length - bad} to watch`,
    zh: `${bad} 项异常,${findings.length - bad} 项需留意`,
  };
  const more: Text = {
    en: `; ${paint.command('xingrin doctor --fix')} mends ${fixable} of them`,
    zh: `;${paint.command('xingrin doctor --fix')} 可处理其中 ${fixable} 项`,
  };
  return `${sign(bad > 0 ? 'bad' : 'caution', paint)} ${counts[language]}${fixable === 0 ? '' : more[language]}`;
}

function sign(mark: Mark, paint: Palette): string {
  return {
    good: paint.good('✓'),
    caution: paint.caution('!'),
    bad: paint.bad('✗'),
    unknown: paint.dim('?'),
  }[mark];
}
