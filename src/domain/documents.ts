import * as z from 'zod';
import type { JsonSchema } from './strict-yaml.ts';

/**
 * What every command prints with `--json`, as schemas: what they say is checked by the tests on real documents, published with the
 * package, and what other programs may rely on. Keys are never translated; they are only ever added.
 */

const text = z.string();
const maybe = z.string().nullable();
const moment = z.string().describe('ISO 8601');
const strings = z.array(z.string());

const step = z.strictObject({
  kind: text,
  title: text.describe('for people, in the language of the command'),
  host: text.describe('a worker, or main'),
  status: z.enum(['pending', 'done', 'unchanged', 'failed', 'undone']),
});
const plan = { from: maybe, to: maybe, commit: maybe, steps: z.array(step) };

const service = z.strictObject({ service: text, image: maybe, imageId: maybe, state: text, health: maybe });
const worker = z.strictObject({
  id: z.int(),
  name: text,
  host: maybe,
  local: z.boolean(),
  status: text,
  version: maybe,
  reason: maybe,
  lastSeen: maybe,
});
const status = {
  version: maybe.describe('what VERSION says'),
  imageTag: maybe.describe('what IMAGE_TAG in docker/.env says'),
  development: z.boolean(),
  consistent: z.boolean(),
  services: z.array(service),
  leftOut: strings.describe('services that --no-frontend left out'),
  workers: z.array(worker),
};

const endpoint = { host: text, port: z.int(), user: text, identity: maybe, hostKey: maybe, fingerprint: maybe };
const declared = {
  id: z.int(),
  name: text,
  local: z.boolean(),
  ...endpoint,
  jumps: z.array(z.strictObject(endpoint)),
};
const observed = {
  status: text,
  version: maybe,
  reason: maybe,
  lastSeen: maybe,
  cpu: z.number().nullable().describe('percent'),
  memory: z.number().nullable().describe('percent'),
};

const task = {
  id: text,
  worker: z.strictObject({ id: z.int(), name: text }),
  state: z.enum(['waiting', 'created', 'running', 'paused', 'ended', 'failed', 'removed', 'unknown']),
  image: text,
  args: strings,
  since: maybe,
  code: z.int().nullable(),
  endedAt: maybe,
};
const output = { stdout: text.optional(), stderr: text.optional(), truncated: z.boolean().optional() };

const shown = z.strictObject({ check: text, mark: z.enum(['good', 'caution', 'bad', 'unknown']), fact: text });
const finding = z.strictObject({
  code: text,
  check: text,
  host: text,
  grave: z.boolean(),
  seen: text,
  why: text,
  mend: text,
  fixable: z.boolean(),
});

const published = z.strictObject({ image: text, reference: text, digest: maybe, platforms: strings });
const deployment = z.strictObject({
  id: text,
  at: moment,
  command: text,
  version: text,
  commit: maybe,
  images: z.record(z.string(), z.string()),
});
const backup = z.strictObject({
  name: text,
  kind: z.enum(['env', 'inventory']),
  at: moment,
  bytes: z.int(),
  imageTag: maybe,
  workers: z.int().nullable(),
  readable: z.boolean(),
  current: z.boolean(),
});
const hostOutcome = z.strictObject({
  host: text,
  exitCode: z.int().nullable(),
  stdout: text,
  stderr: text,
  error: maybe,
});
const pruned = z.strictObject({
  host: text,
  images: strings,
  containers: strings,
  left: strings,
  freed: z.number().describe('bytes'),
  error: maybe,
});
const act = z.strictObject({
  act: text,
  place: text,
  typed: text,
  version: maybe,
  proof: text,
  away: z.unknown(),
  seconds: z.number(),
});
const holder = z.strictObject({ command: text, user: text, host: text, pid: z.int(), since: moment });

/** `data` by command, where it went well; a dry run ends with the plan, and what would be known afterwards is left out. */
const DATA: Readonly<Record<string, z.ZodRawShape>> = {
  init: { directory: text, created: strings, kept: strings },
  release: { ...plan, ...optional({ version: text, images: z.array(published) }) },
  publish: { ...plan, ...optional({ version: text, images: z.array(published) }) },
  install: { ...plan, ...optional(status) },
  update: { ...plan, ...optional(status) },
  rollback: { ...plan, ...optional(status) },
  start: { ...plan, ...optional(status) },
  restart: { ...plan, ...optional(status) },
  dev: { ...plan, ...optional({ ...status, images: strings }) },
  stop: plan,
  uninstall: { ...plan, ...optional({ project: text, purged: z.boolean() }) },
  status,
  logs: { lines: strings.optional() },
  history: { deployments: z.array(deployment) },
  'worker add': { ...plan, worker: z.strictObject(declared).optional() },
  'worker list': { workers: z.array(z.strictObject({ ...declared, ...observed })) },
  'worker show': { worker: z.strictObject({ ...declared, ...observed }) },
  'worker update': { ...plan, ...optional({ version: text, workers: strings }) },
  'worker remove': { ...plan, removed: z.strictObject({ id: z.int(), name: text }).optional() },
  'worker exec': { hosts: z.array(z.union([hostOutcome, text])), argv: strings.optional() },
  'worker logs': { hosts: z.array(z.union([hostOutcome, text])), argv: strings.optional() },
  'task run': { ...task, ...output, steps: z.array(step).optional() },
  'task list': {
    tasks: z.array(z.strictObject(task)),
    unreachable: z.array(z.strictObject({ id: z.int(), name: text, reason: text })),
  },
  'task logs': { ...task, ...output },
  'task stop': task,
  doctor: {
    ...optional(plan),
    ...optional({
      installation: z.array(shown),
      hosts: z.array(z.strictObject({ host: text, checks: z.array(shown) })),
      findings: z.array(finding),
    }),
  },
  prune: { ...plan, ...optional({ freed: z.number(), hosts: z.array(pruned) }) },
  backup: optional({ ...plan, backups: z.array(backup), backup: maybe, restored: text }),
  recover: { interrupted: strings },
  lock: optional({ holder: holder.nullable(), interrupted: strings, abandoned: strings }),
  config: optional({ config: z.record(z.string(), z.unknown()), schema: z.record(z.string(), z.unknown()) }),
  completion: optional({ shell: text, script: text, candidates: strings }),
  schema: { schemas: z.record(z.string(), z.unknown()) },
  server: { port: z.int() },
  demo: optional({
    acts: z.array(act),
    installed: strings,
    seconds: z.number(),
    kept: z.record(z.string(), z.unknown()).nullable(),
    removed: strings,
  }),
  // A mistake on the command line, before any command was understood.
  xingrin: {},
};

/** The commands that have a document, as it names them. */
export const DOCUMENTS: readonly string[] = Object.keys(DATA);

/** The JSON Schema of a command's document. */
export function documentJsonSchema(command: string): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(documentSchema(command)) as JsonSchema;
  return { $schema, title: `xingrin ${command}`, ...rest };
}

function documentSchema(command: string): z.ZodType {
  const data = DATA[command] ?? {};
  const base = { schema: z.literal('xingrin/v1'), command: z.literal(command) };
  const warnings = strings;
  const good = { ok: z.literal(true), exitCode: z.literal(0), data: z.strictObject(data), warnings };
  const failure = z.strictObject({
    code: text.describe('never translated'),
    message: text,
    hint: text.optional().describe('what to type or do next'),
    host: text.optional(),
    evidence: text.optional(),
  });
  const bad = {
    ok: z.literal(false),
    exitCode: z.int().min(1),
    data: z.strictObject(optional(data)),
    warnings,
    // Absent where the exit code says what was found: changes pending, a task that ended with it.
    error: failure.optional(),
  };
  return z.union([z.strictObject({ ...base, ...good }), z.strictObject({ ...base, ...bad })]);
}

function optional(shape: z.ZodRawShape): z.ZodRawShape {
  return Object.fromEntries(
    Object.entries(shape).map(([key, type]) => [key, (type as z.ZodType).optional()]),
  ) as z.ZodRawShape;
}
