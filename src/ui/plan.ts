import type { Language } from '../domain/text.ts';
import { MAIN_HOST, type Plan } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { printable, wrapped } from './layout.ts';

/** Columns before the words of a step. */
const MARGIN = 5;

/**
 * The plan as the operator sees it before saying yes: from → to, then the steps of each host; hosts that do the same stand together.
 *
 * @param columns of the terminal; infinite where lines are not to be broken
 */
export function renderPlan(plan: Plan, language: Language, paint: Palette, columns: number): string {
  const lines = [paint.strong(headline(plan, language))];
  const parts = partsOf(plan, language);
  for (const { hosts, titles } of parts) {
    if (parts.length > 1 || hosts.length > 1 || hosts[0] !== MAIN_HOST) {
      const names = wrapped(hosts.map(printable).join(', '), columns - 2);
      lines.push(...names.map((line) => `  ${paint.strong(line)}`));
    }
    for (const title of titles) {
      const [first = '', ...more] = wrapped(printable(title), columns - MARGIN);
      lines.push(`  ${paint.dim('•')}  ${first}`, ...more.map((line) => ' '.repeat(MARGIN) + line));
    }
  }
  return lines.join('\n');
}

function partsOf(plan: Plan, language: Language): { hosts: string[]; titles: string[] }[] {
  const parts = new Map<string, { hosts: string[]; titles: string[] }>();
  for (const host of new Set(plan.steps.map((step) => step.host))) {
    const titles = plan.steps.filter((step) => step.host === host).map(({ title }) => title[language]);
    const key = host === MAIN_HOST ? MAIN_HOST : titles.join('\n');
    const part = parts.get(key);
    if (part === undefined) parts.set(key, { hosts: [host], titles });
    else part.hosts.push(host);
  }
  return [...parts.values()];
}

export function headline(plan: Plan, language: Language): string {
  const none = language === 'zh' ? '无' : 'nothing';
  const where = plan.commit === null ? '' : ` (${plan.commit.slice(0, 10)})`;
  if (plan.from === null && plan.to === null) return plan.command;
  if (plan.from === plan.to) return `${plan.command}: ${plan.to}${where}`;
  return `${plan.command}: ${plan.from ?? none} → ${plan.to ?? none}${where}`;
}
