import type { Language } from '../domain/text.ts';
import { MAIN_HOST, type Plan } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { printable, wrapped } from './layout.ts';

/** Columns before the words of a step. */
const MARGIN = 5;

/**
 * The plan as the operator sees it before saying yes: from → to, then the steps of each host.
 *
 * @param columns of the terminal; infinite where lines are not to be broken
 */
export function renderPlan(plan: Plan, language: Language, paint: Palette, columns: number): string {
  const lines = [paint.strong(headline(plan, language))];
  const hosts = [...new Set(plan.steps.map((step) => step.host))];
  for (const host of hosts) {
    const steps = plan.steps.filter((step) => step.host === host);
    if (hosts.length > 1 || host !== MAIN_HOST) lines.push(`  ${paint.strong(printable(host))}`);
    for (const step of steps) {
      const [first = '', ...more] = wrapped(printable(step.title[language]), columns - MARGIN);
      lines.push(`  ${paint.dim('•')}  ${first}`, ...more.map((line) => ' '.repeat(MARGIN) + line));
    }
  }
  return lines.join('\n');
}

export function headline(plan: Plan, language: Language): string {
  const none = language === 'zh' ? '无' : 'nothing';
  const where = plan.commit === null ? '' : ` (${plan.commit.slice(0, 10)})`;
  if (plan.from === null && plan.to === null) return plan.command;
  if (plan.from === plan.to) return `${plan.command}: ${plan.to}${where}`;
  return `${plan.command}: ${plan.from ?? none} → ${plan.to ?? none}${where}`;
}
