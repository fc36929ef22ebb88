import * as z from 'zod';
import type { Load } from '../domain/schedule.ts';

/** A record of the schema library leaves this key out without a word. */
function refuseLostKey(env: unknown, context: z.RefinementCtx): unknown {
  if (typeof env === 'object' && env !== null && Object.hasOwn(env, '__proto__'))
    context.addIssue({ code: 'custom', message: 'must not have the key __proto__' });
  return env;
}

/** A task to run: the words that go to the task image. */
export const taskRequest = z
  .strictObject({
    args: z
      .array(
        z
          .string()
          .max(32_768)
          .refine((word) => !word.includes('\0'), 'must not hold a NUL character'),
      )
      .min(1)
      .max(1_000),
    env: z.preprocess(refuseLostKey, z.record(z.string().max(255), z.string().max(32_768)).optional()),
    worker: z.string().max(64).optional().describe('the name of a worker; the least loaded one if absent'),
  })
  .meta({ id: 'TaskRequest' });
export type TaskRequest = z.infer<typeof taskRequest>;

export const taskView = z
  .object({
    id: z.string(),
    worker: z.string(),
    status: z.string(),
    exit_code: z.int().nullable(),
    started_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Task' });
export type TaskView = z.infer<typeof taskView>;

/** How busy a worker is, as it was last heard. */
export interface HeardLoad {
  readonly id: number;
  /** Null if it is not known. */
  readonly load: Load | null;
  readonly measured: Date;
}

/** Runs tasks on workers and follows them. What it throws for its caller is a refusal. */
export interface TaskRunner {
  /** Resolves when a worker was found for the task, and that is written down; to start it there may take longer. */
  start(request: TaskRequest, heard: readonly HeardLoad[]): Promise<TaskView>;
  list(): Promise<readonly TaskView[]>;
  /** Null if there is no such task. */
  find(id: string): Promise<TaskView | null>;
  /**
   * Goes on with tasks that were to be started when a server died, or whose worker was away for too long. One for an id is all there can
   * be, also if it has begun. What cannot be sent again has failed, unless it runs.
   */
  resume(): Promise<void>;
}
