import { same, type Language, type Text } from '../domain/text.ts';
import type { Plan } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { table } from './layout.ts';

/** An act that was performed. */
export interface ActShown {
  readonly place: string;
  readonly typed: string;
  /** Version that the front door answered with afterwards. */
  readonly running: string | null;
  readonly proof: Text;
  readonly seconds: number;
}

/** A demo that goes on: how to look at it, how to go on with it, how to end it. */
export interface KeptShown {
  readonly address: string;
  readonly tunnel: string;
  readonly local: string;
  readonly projects: readonly string[];
  readonly shell: string;
  readonly remove: string;
}

/** What the demo is going to do, before anybody is asked. */
export function renderDemoPlan(plan: Plan, language: Language, paint: Palette): string {
  const head: Text = {
    en: 'demo: the whole journey on this machine, for real',
    zh: '演示:在本机真实走完全部流程',
  };
  const apart: Text = {
    en: 'It has a Docker engine, a network and folders of its own; yours are not touched.',
    zh: '使用独立的 Docker 引擎、网络和目录,不触及您已有的任何东西。',
  };
  const steps = plan.steps.map(({ title }) => [paint.dim('•'), title[language]]);
  return [paint.strong(head[language]), table(steps, 2), paint.dim(apart[language])].join('\n');
}

/** What `demo --clean` is going to do. */
export function renderCleaning(plan: Plan, language: Language, paint: Palette): string {
  return plan.steps.map(({ title }) => `${paint.dim('•')} ${title[language]}`).join('\n');
}

/** The closing table: what was typed where, what was true then, how long it took. */
export function renderActs(acts: readonly ActShown[], seconds: number, language: Language, paint: Palette): string {
  const head = {
    en: ['WHERE', 'TYPED', 'FRONT DOOR', 'WHAT CAME OF IT', 'TIME'],
    zh: ['位置', '输入的命令', '入口版本', '结果', '耗时'],
  }[language];
  const unit = language === 'zh' ? '秒' : 's';
  const rows = acts.map((act) => [
    paint.dim(act.place),
    act.typed,
    act.running === null ? paint.dim('-') : paint.good(act.running),
    act.proof[language],
    paint.dim(`${act.seconds.toFixed(1).padStart(4)} ${unit}`),
  ]);
  const total: Text = {
    en: `${acts.length} acts, all of them real, in ${seconds.toFixed(0)} s`,
    zh: `共 ${acts.length} 幕,全部真实执行,用时 ${seconds.toFixed(0)} 秒`,
  };
  return `\n${table([head.map(paint.dim), ...rows])}\n\n${paint.good('✓')} ${total[language]}`;
}

export function renderKept(kept: KeptShown, language: Language, paint: Palette): string {
  const head: Text = { en: 'It goes on running.', zh: '演示保持运行。' };
  const rows: (readonly [Text, string])[] = [
    [{ en: 'open', zh: '打开' }, paint.command(kept.address)],
    [{ en: 'from elsewhere', zh: '从别处' }, kept.tunnel],
    [{ en: '  and open', zh: '  然后打开' }, paint.command(kept.local)],
    ...kept.projects.map((folder, index): readonly [Text, string] => [
      index === 0 ? { en: 'the project', zh: '项目' } : same(''),
      folder,
    ]),
    [{ en: 'go on yourself', zh: '继续操作' }, kept.shell],
    [{ en: 'remove it', zh: '清除' }, paint.command(kept.remove)],
  ];
  return [
    paint.strong(head[language]),
    table(
      rows.map(([name, value]) => [paint.dim(name[language]), value]),
      2,
    ),
  ].join('\n');
}
