import type { Language } from '../domain/text.ts';
import { MAIN_HOST, type Plan } from '../plan/plan.ts';
import type { Palette } from './colors.ts';
import { printable, table } from './layout.ts';

/** The plan as the operator sees it before saying yes: from → to, then the steps of each host. */
export function renderPlan(plan: Plan, language: Language, paint: Palette): string {
  const lines = [paint.strong(headline(plan, language))];
  const hosts = [...new Set(plan.steps.map((step) => step.host))];
  for (const host of hosts) {
    const steps = plan.steps.filter((step) => step.host === host);
    if (hosts.length > 1 || host !== MAIN_HOST) lines.push(`  ${paint.strong(printable(host))}`);
    lines.push(
      table(
        steps.map((step) => [paint.dim('•'), printable(step.title[language])]),
        2,
      ),
    );
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
