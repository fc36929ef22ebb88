import type { Worker } from '../domain/inventory.ts';

/** Brings the agents of remote workers to another version. The caller holds the worker's lock for as long as it takes. */
export interface AgentUpdater {
  /**
   * Resolves when an agent of that version has shown that it works there, and rejects with the reason when the old one is back.
   * What is under way when `signal` fires may go on over there.
   */
  update(worker: Worker, version: string, signal: AbortSignal): Promise<void>;
}
