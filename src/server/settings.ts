import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { quoted } from '../domain/quote.ts';
import { readText } from '../effects/files.ts';
import type { Project } from '../observe/project.ts';
import type { AgentAuth } from './access.ts';

/** How a server was started. */
export interface ServerSettings {
  readonly port: number;
  /** Null: the state is kept in the project. */
  readonly redisUrl: string | null;
  readonly agentAuth: AgentAuth;
  readonly agentToken: string;
  readonly adminToken: string;
  /** The version that agents are to have; null if nothing is asked for. */
  readonly wanted: string | null;
  /** Whether that is what docker/.env says: it is asked again from time to time. */
  readonly wantedFromFile: boolean;
  readonly localName: string | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads PORT, REDIS_URL, AGENT_AUTH, IMAGE_TAG, AGENT_TOKEN, ADMIN_TOKEN and WORKER_NAME; what the environment does not name is
 * taken from docker/.env where it is readable. Throws BAD_INPUT (exit 2) naming the variable.
 */
export async function readSettings(environment: Environment, project: Project): Promise<ServerSettings> {
  const text = await readText(project.envFile).catch(() => null);
  const file = text === null ? null : parseEnvFile(text, project.envFile);
  const value = (key: string): string => environment[key] ?? (file === null ? '' : (envValue(file, key) ?? ''));
  return {
    port: portOf(environment['PORT'] ?? ''),
    redisUrl: redisOf(value('REDIS_URL')),
    agentAuth: authOf(value('AGENT_AUTH')),
    agentToken: value('AGENT_TOKEN'),
    adminToken: value('ADMIN_TOKEN'),
    wanted: versionOf(value('IMAGE_TAG')),
    wantedFromFile: environment['IMAGE_TAG'] === undefined,
    localName: value('WORKER_NAME') || null,
  };
}

/** The version that docker/.env asks for; null where it asks for none, or cannot be read. */
export async function readWanted(project: Project): Promise<string | null> {
  const text = await readText(project.envFile).catch(() => null);
  return text === null ? null : versionOf(envValue(parseEnvFile(text, project.envFile), 'IMAGE_TAG') ?? '');
}

function versionOf(tag: string): string | null {
  return tag === '' || tag === 'unversioned' ? null : tag;
}

function portOf(text: string): number {
  if (text === '') return 8888;
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  return fail('BAD_INPUT', {
    en: `PORT must be a number up to 65535, not ${quoted(text)}`,
    zh: `PORT 必须是不大于 65535 的整数,而不是 ${quoted(text)}`,
  });
}

/** Never shown: it may hold a password. */
function redisOf(text: string): string | null {
  if (text === '') return null;
  if (/^rediss?:\/\/[^\s]+$/.test(text) && URL.canParse(text)) return text;
  return fail('BAD_INPUT', {
    en: 'REDIS_URL must look like redis://HOST:6379/0',
    zh: 'REDIS_URL 必须形如 redis://主机:6379/0',
  });
}

function authOf(text: string): AgentAuth {
  if (text === '' || text === 'required') return 'required';
  if (text === 'optional') return 'optional';
  return fail('BAD_INPUT', {
    en: `AGENT_AUTH must be required or optional, not ${quoted(text)}`,
    zh: `AGENT_AUTH 必须是 required 或 optional,而不是 ${quoted(text)}`,
  });
}
