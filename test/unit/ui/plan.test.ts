import { expect, test } from 'vitest';
import { same } from '../../../src/domain/text.ts';
import { makePlan, type Step } from '../../../src/plan/plan.ts';
import { palette } from '../../../src/ui/colors.ts';
import { renderPlan } from '../../../src/ui/plan.ts';

const step = (host: string, title: string): Step => ({ kind: 'x', host, title: same(title), params: null });

function shown(steps: readonly Step[], columns = 40): string[] {
  const plan = makePlan({ command: 'update', from: 'v1.0.0', to: 'v1.1.0', commit: null, steps });
  return renderPlan(plan, 'en', palette(false), columns).split('\n');
}

test('hosts that do the same stand together, each by its name', () => {
  const workers = ['eu-1', 'eu-2', 'us-1'].flatMap((host) => [step(host, 'pull'), step(host, 'swap')]);
  const other = [step('us-2', 'pull')];
  expect(shown([step('main', 'switch'), ...workers, ...other])).toEqual([
    'update: v1.0.0 → v1.1.0',
    '  main',
    '  •  switch',
    '  eu-1, eu-2, us-1',
    '  •  pull',
    '  •  swap',
    '  us-2',
    '  •  pull',
  ]);
});

test('the main server alone needs no name; a worker alone has its own', () => {
  expect(shown([step('main', 'switch')])).toEqual(['update: v1.0.0 → v1.1.0', '  •  switch']);
  expect(shown([step('eu-1', 'swap')])).toEqual(['update: v1.0.0 → v1.1.0', '  eu-1', '  •  swap']);
});

test('many names take as many lines as they need', () => {
  const names = Array.from({ length: 12 }, (_, index) => `worker-${index}`);
  const lines = shown(names.map((name) => step(name, 'swap')));
  expect(lines.slice(1, -1).join(' ').replaceAll(/\s+/g, ' ').trim()).toBe(names.join(', '));
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
});
