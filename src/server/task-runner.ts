import { z } from 'zod';

/** A task to run: the words that go to the task image. */
export const taskRequest = z
  .strictObject({
    args: z.array(z.string().max(32_768)).min(1).max(1_000),
    env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_768)).optional(),
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

/** Runs tasks on workers and follows them. */
export interface TaskRunner {
  /** Begins a task; resolves when it has started. */
  start(request: TaskRequest): Promise<TaskView>;
  list(): Promise<readonly TaskView[]>;
  /** Null if there is no such task. */
  find(id: string): Promise<TaskView | null>;
}
