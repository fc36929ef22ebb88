import { expect, test } from 'vitest';
import type { Worker } from '../../../src/domain/inventory.ts';
import { planFollowing, withFollowing } from '../../../src/plan/fleet.ts';
import type { Plan, Step } from '../../../src/plan/plan.ts';

const worker = (id: number, name: string): Worker => ({
  id,
  name,
  host: `${name}.test`,
  port: 22,
  user: 'root',
  identity: null,
  hostKey: null,
  jumps: [],
});
const step = (kind: string): Step => ({ kind, title: { en: kind, zh: kind }, host: 'main', params: {} });
const kinds = ({ steps }: Plan): string[] => steps.map(({ kind, host }) => `${kind} ${host}`);

test('workers pull after the stack has, and get their agents when there is no way back', () => {
  const plan = { steps: ['pull-image', 'verify-images', 'set-env', 'up', 'commit'].map(step) } as unknown as Plan;
  const images = [{ reference: 'team/xingrin-worker:v1.2.0', digests: null }];
  const following = planFollowing([worker(2, 'w2'), worker(3, 'w3')], images, 'v1.2.0');
  expect(kinds(withFollowing(plan, following))).toEqual([
    'pull-image main',
    'verify-images main',
    'pull-on-worker w2',
    'pull-on-worker w3',
    'set-env main',
    'up main',
    'commit main',
    'swap-agent w2',
    'swap-agent w3',
  ]);
  // One that fails keeps nobody from going on.
  expect(
    [...following.before, ...following.after].every(({ params }) => JSON.stringify(params).includes('"lax":true')),
  ).toBe(true);
});

test('without workers the plan is what it was', () => {
  const plan = { steps: ['pull-image', 'up'].map(step) } as unknown as Plan;
  expect(withFollowing(plan, planFollowing([], [], 'v1.2.0'))).toEqual(plan);
});
