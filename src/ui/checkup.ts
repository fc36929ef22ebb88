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
  for (const group of grouped(findings)) blocks.push(renderFinding(group, width, language, paint));
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

function renderFinding(group: readonly Finding[], width: number, language: Language, paint: Palette): string {
  const [first] = group;
  if (first === undefined) return '';
  const hosts = [...new Set(group.map(({ host }) => host))].map(printable).join(', ');
  const mends = [...new Set(group.map(({ mend }) => mend[language]))];
  const shown = mends.length > SHOWN ? [...mends.slice(0, SHOWN), '…'] : mends;
  const margin = 2;
  const [why, mend] = language === 'zh' ? ['影响', '处理'] : ['why ', 'mend'];
  const room = width - margin - 6;
  const body = (title: string, lines: readonly string[]): string =>
    table(lines.map((line, index) => [index === 0 ? title : '    ', line]));
  const head = wrapped(printable(`${hosts}: ${first.seen[language]}`), width - margin);
  return [
    `${sign(first.grave ? 'bad' : 'caution', paint)} ${head.map((line, index) => (index === 0 ? paint.strong(line) : `  ${paint.strong(line)}`)).join('\n')}`,
    indented(body(paint.dim(why), wrapped(printable(first.why[language]), room)), margin),
    indented(
      body(
        paint.dim(mend),
        shown.map((line) => paint.command(printable(line))),
      ),
      margin,
    ),
  ].join('\n');
}

/** The same on several hosts is said once. */
function grouped(findings: readonly Finding[]): Finding[][] {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const key = `${finding.code}\n${finding.seen.en}`;
    groups.set(key, [...(groups.get(key) ?? []), finding]);
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
