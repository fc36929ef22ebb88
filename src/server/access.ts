import { createHash, timingSafeEqual } from 'node:crypto';
import { agentToken } from '../effects/agent-token.ts';
import type { Entry } from './roster.ts';
import { refuse } from './refusal.ts';

/** Whether agents without a token are let in, as XingRin's own are. */
export type AgentAuth = 'required' | 'optional';

export interface Secrets {
  /** Agents' tokens are made from it; the agent of the main server shows it itself. Empty: no agent token is right. */
  readonly agentToken: string;
  /** Empty: nobody is let in. */
  readonly adminToken: string;
  readonly agentAuth: AgentAuth;
}

/** Who may do what. Every question either comes back or throws a refusal with 401 or 403. */
export class Access {
  readonly #secrets: Secrets;
  /** By worker id: the whole header that is right. Made when first needed. */
  readonly #expected = new Map<number, string>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  /** Whoever registers shows the agents' secret; or the token of a worker, whose name is looked at later (see `ownName`). */
  requireRegistrar(
    authorization: string | undefined,
    workerOf: (name: string) => Entry | undefined,
    name: string,
  ): void {
    const token = bearer(authorization);
    if (token === null) return this.#requireNoToken();
    if (equal(token, this.#secrets.agentToken)) return;
    const entry = workerOf(name);
    if (entry !== undefined && this.#showsTokenOf(authorization ?? '', entry.id)) return;
    refuse(401, 'UNAUTHORIZED', 'this agent token is not right for that name');
  }

  /** Whether a request to register shows anything that could be right, before its body is read. */
  requireAnyAgent(authorization: string | undefined): void {
    if (bearer(authorization) === null) this.#requireNoToken();
  }

  /** A heartbeat shows the token of its own worker. The agents' secret does for those who were not given one: who registered. */
  admitsWorker(authorization: string | undefined, id: number, entry: Entry | undefined): boolean {
    if (authorization === undefined) return this.#secrets.agentAuth === 'optional';
    if (this.#showsTokenOf(authorization, id)) return true;
    const token = bearer(authorization) ?? '';
    return (entry === undefined || entry.worker === null) && equal(token, this.#secrets.agentToken);
  }

  /** The same, saying what is wrong. */
  requireWorker(authorization: string | undefined, id: number, entry: Entry | undefined): void {
    if (this.admitsWorker(authorization, id, entry)) return;
    const token = bearer(authorization);
    if (token === null) return this.#requireNoToken();
    if (equal(token, this.#secrets.agentToken)) refuse(403, 'FORBIDDEN', 'that worker has a token of its own');
    if (/^[0-9a-f]{64}$/.test(token)) refuse(403, 'FORBIDDEN', 'this token is not that of this worker');
    refuse(401, 'UNAUTHORIZED', 'the agent token is wrong');
  }

  requireAdmin(authorization: string | undefined): void {
    const token = bearer(authorization);
    if (token === null) refuse(401, 'UNAUTHORIZED', 'the admin token is missing: Authorization: Bearer ADMIN_TOKEN');
    if (!equal(token, this.#secrets.adminToken)) refuse(401, 'UNAUTHORIZED', 'the admin token is wrong');
  }

  forget(id: number): void {
    this.#expected.delete(id);
  }

  #requireNoToken(): void {
    if (this.#secrets.agentAuth === 'required') {
      refuse(401, 'UNAUTHORIZED', 'the agent token is missing: Authorization: Bearer TOKEN');
    }
  }

  #showsTokenOf(authorization: string, id: number): boolean {
    if (this.#secrets.agentToken === '' || authorization.length !== BEARER.length + 64) return false;
    let expected = this.#expected.get(id);
    if (expected === undefined) {
      expected = BEARER + agentToken(this.#secrets.agentToken, id);
      if (this.#expected.size > 50_000) this.#expected.clear();
      this.#expected.set(id, expected);
    }
    // For each heartbeat: what Node's own comparison needs first, two buffers, takes ten times as long.
    let difference = 0;
    for (let at = 0; at < expected.length; at += 1)
      difference |= authorization.charCodeAt(at) ^ expected.charCodeAt(at);
    return difference === 0;
  }
}

const BEARER = 'Bearer ';

/** What follows `Bearer`; null without a header. */
function bearer(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  return authorization.startsWith(BEARER) ? authorization.slice(BEARER.length) : '';
}

/** Takes the same time whatever differs. Nothing equals an empty secret. */
function equal(given: string, secret: string): boolean {
  if (secret === '') return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(secret));
}
