import * as z from 'zod';
import { AGENT_CONTAINER, NEXT_CONTAINER, PROJECT_LABEL, WORKER_LABEL } from '../argv/agent.ts';
import { splitReference } from '../domain/image.ts';

/** The container of an agent on a worker. */
export interface AgentContainer {
  readonly id: string;
  readonly name: string;
  /** The reference that it was made from. */
  readonly image: string;
  readonly imageId: string;
  /** The image tag it was made from: the version, unless somebody named it otherwise; null for a bare digest. */
  readonly version: string | null;
  /** Docker's word: running, exited, … */
  readonly state: string;
  readonly health: string | null;
  /** The Compose project and the worker that it works for; null for an agent that somebody else started. */
  readonly project: string | null;
  readonly workerId: number | null;
}

const schema = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    Image: z.string(),
    Config: z.object({ Image: z.string(), Labels: z.record(z.string(), z.string()).nullish() }),
    State: z.object({ Status: z.string(), Health: z.object({ Status: z.string() }).nullish() }),
  }),
);

/** Prints what {@link parseAgents} reads; its exit code says nothing. */
export function inspectAgents(): string[] {
  return ['docker', 'container', 'inspect', AGENT_CONTAINER, NEXT_CONTAINER];
}

/** The agent, and beside it a new one in the middle of a swap. Empty for what is not an answer of Docker. */
export function parseAgents(json: string): AgentContainer[] {
  return schema.parse(JSON.parse(json.trim() === '' ? '[]' : json)).map(({ Id, Name, Image, Config, State }) => ({
    id: Id,
    name: Name.replace(/^\//, ''),
    image: Config.Image,
    imageId: Image,
    version: versionOf(Config.Image),
    state: State.Status,
    health: State.Health?.Status ?? null,
    project: Config.Labels?.[PROJECT_LABEL] ?? null,
    workerId: Number(Config.Labels?.[WORKER_LABEL]) || null,
  }));
}

function versionOf(image: string): string | null {
  return /^sha256:|^[0-9a-f]{64}$/.test(image) ? null : splitReference(image).tag;
}
