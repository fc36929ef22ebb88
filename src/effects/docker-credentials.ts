import { homedir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { fail } from '../domain/errors.ts';
import { jsonOrNull } from '../domain/json.ts';
import { readText } from './files.ts';
import { run } from './process.ts';

/** What `docker login` has left for a registry. Never to be printed. */
export type Credentials =
  | { readonly user: string; readonly password: string }
  | { readonly user: null; readonly identityToken: string };

/** The key under which Docker keeps what belongs to Docker Hub. */
export const HUB_KEY = 'https://index.docker.io/v1/';

/** What a credential helper answers as user when its secret is an identity token. */
const TOKEN_USER = '<token>';

const HELPER_LIMIT = 20_000;

const authSchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});

const configSchema = z.object({
  auths: z.record(z.string(), authSchema).optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
});

const helperSchema = z.object({ Username: z.string(), Secret: z.string() });

type DockerConfig = z.infer<typeof configSchema>;

/**
 * What Docker's own client would use for this registry, or null. Throws BAD_CONFIG (exit 2) for a config.json that cannot be
 * read; never says what is in it.
 *
 * @param registry `docker.io` or `host[:port]`
 */
export async function credentialsFor(registry: string): Promise<Credentials | null> {
  const config = await readConfig();
  const keys = keysOf(registry);
  const helper = keys.map((key) => config.credHelpers?.[key]).find((name) => name !== undefined) ?? config.credsStore;
  const kept = helper === undefined || helper === '' ? null : await askHelper(helper, keys);
  return kept ?? fromAuths(config, keys);
}

async function readConfig(): Promise<DockerConfig> {
  const path = join(process.env['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json');
  const text = await readText(path);
  if (text === null || text.trim() === '') return {};
  try {
    return configSchema.parse(JSON.parse(text));
  } catch {
    // The cause would quote the file, and with it what must not be shown.
    return fail('BAD_CONFIG', { en: `cannot read ${path}`, zh: `无法读取 ${path}` });
  }
}

function keysOf(registry: string): string[] {
  if (registry === 'docker.io') return [HUB_KEY, 'index.docker.io', 'docker.io', 'registry-1.docker.io'];
  return [
    registry,
    `https://${registry}`,
    `https://${registry}/`,
    `https://${registry}/v1/`,
    `https://${registry}/v2/`,
  ];
}

/** Exit code other than 0 means "I have none" as well as "I am broken"; in both cases the registry will say what it wants. */
async function askHelper(helper: string, keys: readonly string[]): Promise<Credentials | null> {
  for (const key of keys.slice(0, 2)) {
    const result = await run([`docker-credential-${helper}`, 'get'], { input: key, timeout: HELPER_LIMIT });
    const answer = result.code === 0 ? helperSchema.safeParse(jsonOrNull(result.stdout)) : null;
    if (answer?.success !== true || answer.data.Secret === '') continue;
    const { Username: user, Secret: secret } = answer.data;
    return user === TOKEN_USER ? { user: null, identityToken: secret } : { user, password: secret };
  }
  return null;
}

function fromAuths(config: DockerConfig, keys: readonly string[]): Credentials | null {
  for (const key of keys) {
    const entry = config.auths?.[key];
    if (entry === undefined) continue;
    if (entry.identitytoken) return { user: null, identityToken: entry.identitytoken };
    const plain = entry.auth ? Buffer.from(entry.auth, 'base64').toString('utf8').replace(/\0+$/, '') : null;
    const colon = plain?.indexOf(':') ?? -1;
    if (plain !== null && colon > 0) return { user: plain.slice(0, colon), password: plain.slice(colon + 1) };
    if (entry.username && entry.password) return { user: entry.username, password: entry.password };
  }
  return null;
}
