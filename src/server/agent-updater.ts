import type { Worker } from '../domain/inventory.ts';

/** Brings the agents of remote workers to another version. The caller holds the worker's lock for as long as it takes. */
export interface AgentUpdater {
  /** Brings what that version needs to the worker. Nothing that runs there is touched; may be given up at any moment. */
  pull(worker: Worker, version: string, signal: AbortSignal): Promise<void>;
  /**
   * Resolves when an agent of that version has shown that it works there, and rejects with the reason when the old one is back: LOCKED
   * where somebody else is at it. What is under way when `signal` fires goes on over there.
   */
  swap(worker: Worker, version: string, signal: AbortSignal): Promise<void>;
}
