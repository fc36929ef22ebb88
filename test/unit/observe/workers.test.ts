import { describe, expect, test } from 'vitest';
import type { AgentContainer } from '../../../src/observe/agents.ts';
import { judgeAgent } from '../../../src/observe/workers.ts';

function container(facts: Partial<AgentContainer> = {}): AgentContainer {
  const usual = { name: 'xingrin-agent', image: 'team/xingrin-agent:v1.1.0', version: 'v1.1.0' };
  return { ...usual, state: 'running', health: 'healthy', ...facts } as AgentContainer;
}

describe('what the containers of agents mean', () => {
  test.each<[string, AgentContainer[], string | null, string, string | null]>([
    ['none', [], 'v1.1.0', 'pending', 'there is no agent'],
    ['one that is well', [container()], 'v1.1.0', 'online', null],
    ['one that has no health check', [container({ health: null })], 'v1.1.0', 'online', null],
    ['one of any version, where none is asked for', [container({ version: 'v9.0.0' })], null, 'online', null],
    ['another version', [container()], 'v1.2.0', 'outdated', 'its agent runs v1.1.0, not v1.2.0'],
    [
      'no version',
      [container({ version: null })],
      'v1.2.0',
      'outdated',
      'its agent runs team/xingrin-agent:v1.1.0, not v1.2.0',
    ],
    [
      'one that is not heard',
      [container({ health: 'unhealthy' })],
      'v1.1.0',
      'offline',
      'the server does not hear its agent',
    ],
    ['one that ended', [container({ state: 'exited' })], 'v1.2.0', 'offline', 'its agent is exited'],
    ['two', [container(), container({ state: 'created' })], 'v1.2.0', 'updating', 'its agent is being replaced'],
  ])('%s', (_what, agents, wanted, status, reason) => {
    const judged = judgeAgent(agents, wanted);
    expect([judged.status, judged.reason?.en ?? null]).toEqual([status, reason]);
    expect(judged.reason === null || judged.reason.zh !== '').toBe(true);
  });
});
