import { createHmac } from 'node:crypto';

/**
 * The token that the agent of one worker shows: made from the project's secret (AGENT_TOKEN), so that the command line and the
 * server agree about it without asking each other. 64 hexadecimal digits.
 */
export function agentToken(secret: string, workerId: number): string {
  return createHmac('sha256', secret).update(`worker:${workerId}`).digest('hex');
}
