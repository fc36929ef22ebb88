import * as z from 'zod';
import { dotted, findings } from '../domain/schema.ts';
import { refuse } from './refusal.ts';

const percent = z.number().min(0).max(100);

/** As an image tag may be: nothing in it means anything to a shell. */
const IMAGE_TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
/** What agents say that were not told their version. */
const UNKNOWN = new Set(['', 'unknown', 'unversioned']);

export const registration = z
  .object({
    name: z
      .string()
      .max(200)
      .refine((text) => text.trim() !== '', 'must not be empty'),
    is_local: z.boolean().optional(),
  })
  .meta({ id: 'Registration' });

export const registered = z
  .object({
    worker_id: z.int(),
    workerId: z.int().describe('the same, for clients that want it so'),
    name: z.string(),
    created: z.boolean().describe('false if the name was known'),
  })
  .meta({ id: 'Registered' });

export const heartbeat = z
  .object({
    cpu_percent: percent.optional(),
    cpu: percent.optional().describe('instead of cpu_percent'),
    memory_percent: percent.optional(),
    mem: percent.optional().describe('instead of memory_percent'),
    version: z
      .string()
      .max(128)
      .refine((text) => UNKNOWN.has(text) || IMAGE_TAG.test(text), 'must be a version')
      .nullish(),
  })
  .meta({ id: 'Heartbeat' });

export const heartbeatAnswer = z
  .object({ status: z.literal('ok'), need_update: z.boolean(), server_version: z.string() })
  .meta({ id: 'HeartbeatAnswer' });

export const workerView = z
  .object({
    id: z.int(),
    name: z.string(),
    host: z.string().nullable().describe('where it is reached over SSH'),
    is_local: z.boolean(),
    status: z.enum(['pending', 'deploying', 'online', 'updating', 'outdated', 'offline']),
    version: z.string().nullable(),
    cpu_percent: z.number().nullable(),
    memory_percent: z.number().nullable(),
    last_seen: z.iso.datetime().nullable(),
    reason: z.string().nullable().describe('why it is not as it should be'),
  })
  .meta({ id: 'Worker' });
export type WorkerView = z.infer<typeof workerView>;

export const workerList = z
  .object({ server_version: z.string().nullable(), workers: z.array(workerView) })
  .meta({ id: 'Workers' });

export const serving = z.object({ status: z.literal('ok'), version: z.string() }).meta({ id: 'Serving' });

export const failure = z
  .object({ error: z.object({ code: z.string(), message: z.string(), field: z.string().optional() }) })
  .meta({ id: 'Failure' });

/** A heartbeat in the words of the product. */
export interface Vitals {
  readonly cpu: number;
  readonly memory: number;
  /** Null if the agent does not know it. */
  readonly version: string | null;
}

/** Reads a heartbeat. Refuses with 400 that names the field. */
export function readVitals(body: unknown): Vitals {
  if (isPlain(body)) {
    const { cpu_percent, memory_percent, version } = body;
    return { cpu: cpu_percent, memory: memory_percent, version: UNKNOWN.has(version) ? null : version };
  }
  const { cpu_percent, cpu, memory_percent, mem, version } = readBody(heartbeat, body);
  return {
    cpu: cpu_percent ?? cpu ?? refuse(400, 'BAD_INPUT', 'cpu_percent is missing', 'cpu_percent'),
    memory: memory_percent ?? mem ?? refuse(400, 'BAD_INPUT', 'memory_percent is missing', 'memory_percent'),
    version: version === undefined || version === null || UNKNOWN.has(version) ? null : version,
  };
}

interface PlainHeartbeat {
  readonly cpu_percent: number;
  readonly memory_percent: number;
  readonly version: string;
}

/** The version that the last plain heartbeat told: mostly it is that of the next as well. */
let lastVersion = '';

/** Whether it is a heartbeat as agents send them, and beyond doubt: the schema would let it through, and takes longer to say so. */
function isPlain(body: unknown): body is PlainHeartbeat {
  if (typeof body !== 'object' || body === null || Object.keys(body).length !== 3) return false;
  const { cpu_percent, memory_percent, version } = body as Record<keyof PlainHeartbeat, unknown>;
  if (!isPercent(cpu_percent) || !isPercent(memory_percent) || typeof version !== 'string') return false;
  if (version === lastVersion) return true;
  if (!IMAGE_TAG.test(version)) return false;
  lastVersion = version;
  return true;
}

function isPercent(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= 100;
}

/** Reads a body. Refuses with 400 that names the field and the rule, never the value. */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    refuse(400, 'BAD_INPUT', 'the body must be a JSON object', 'body');
  }
  const read = schema.safeParse(body);
  if (read.success) return read.data;
  const [first] = findings(read.error);
  const field = first === undefined || first.path.length === 0 ? 'body' : dotted(first.path);
  return refuse(400, 'BAD_INPUT', `${field} ${first?.rule.en ?? 'is wrong'}`, field);
}
