import * as z from 'zod';
import { hostFacts, probe } from '../argv/host-facts.ts';
import type { HostFacts, LocalFacts } from '../domain/check-host.ts';
import type { ProbeOutcome } from '../domain/check-reach.ts';
import type { Connection } from '../effects/transport.ts';
import { AGENT_CONTAINER } from '../argv/agent.ts';
import { parseAgents } from './agents.ts';

/** Milliseconds; each question to the engine has a limit of its own over there. */
const LIMIT = 120_000;
const PROBE_LIMIT = 60_000;
/** `date` tells whole seconds. */
const HALF_A_SECOND = 0.5;

const texts = z
  .array(z.string())
  .nullish()
  .transform((each) => each ?? []);
const engineSchema = z.object({
  ServerVersion: z.string().nullish(),
  RegistryConfig: z
    .object({
      Mirrors: texts,
      InsecureRegistryCIDRs: texts,
      IndexConfigs: z.record(z.string(), z.object({ Secure: z.boolean() })).nullish(),
    })
    .nullish(),
});
const imageSchema = z.object({ id: z.string(), digests: texts, size: z.number() });

/**
 * Asks a host how it is. Throws what the connection throws, never for what is missing there.
 *
 * @param images whether it has these
 */
export async function readHostFacts(connection: Connection, images: readonly string[]): Promise<HostFacts> {
  const { argv, input } = hostFacts(images);
  const began = Date.now();
  let toldTime: number | null = null;
  const { stdout } = await connection.exec(argv, {
    input,
    timeout: LIMIT,
    onLine: (line) => {
      if (line.startsWith('clock ')) toldTime = Date.now();
    },
  });
  const facts = linesByName(stdout);
  const first = (name: string): string => facts.get(name)?.[0] ?? '';
  const engine = engineOf(first('engine'));
  const docker = first('docker');
  return {
    clock: clockOf(first('clock'), began, toldTime ?? Date.now()),
    docker: docker === 'absent' || docker === 'denied' ? docker : engine.version === null ? 'silent' : 'answers',
    engine: engine.version,
    compose: first('compose').replace(/^v/, '') || null,
    mirrors: engine.mirrors,
    insecure: engine.insecure,
    disk: diskOf(first('blocks'), first('inodes')),
    agent: agentOf(first('agent')),
    images: Object.fromEntries(images.map((reference, index) => [reference, imageOf(facts.get('image')?.[index])])),
    names: first('images')
      .split(' ')
      .filter((name) => name !== ''),
  };
}

/** Asks from a host whether a registry can be reached. Throws what the connection throws. */
export async function probeRegistry(
  connection: Connection,
  registry: string,
  lax: boolean,
  urls: readonly string[],
): Promise<ProbeOutcome[]> {
  const { argv, input } = probe(registry, lax, urls);
  const { stdout } = await connection.exec(argv, { input, timeout: PROBE_LIMIT });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [program, code, status] = line.split(' ');
      const known = program === 'curl' || program === 'wget' ? program : 'none';
      return { program: known, code: Number(code ?? 0), status: Number(status ?? 0) };
    });
}

function linesByName(text: string): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    const name = space < 0 ? line : line.slice(0, space);
    lines.set(name, [...(lines.get(name) ?? []), space < 0 ? '' : line.slice(space + 1).trim()]);
  }
  return lines;
}

function engineOf(json: string): { version: string | null } & Pick<HostFacts, 'mirrors' | 'insecure'> {
  const { ServerVersion, RegistryConfig } = engineSchema.parse(json === '' ? {} : JSON.parse(json));
  const names = Object.entries(RegistryConfig?.IndexConfigs ?? {}).filter(([, { Secure }]) => !Secure);
  return {
    version: ServerVersion === undefined || ServerVersion === '' ? null : ServerVersion,
    mirrors: RegistryConfig?.Mirrors ?? [],
    insecure: { names: names.map(([name]) => name), networks: RegistryConfig?.InsecureRegistryCIDRs ?? [] },
  };
}

/** The time it told lies between our question and its answer. */
function clockOf(text: string, asked: number, answered: number): HostFacts['clock'] {
  if (!/^\d+$/.test(text)) return null;
  const here = (asked + answered) / 2_000;
  return { ahead: Number(text) + HALF_A_SECOND - here, give: HALF_A_SECOND + (answered - asked) / 2_000 };
}

function diskOf(blocks: string, inodes: string): HostFacts['disk'] {
  const [total, free] = blocks.split(' ').map(Number);
  if (total === undefined || free === undefined || Number.isNaN(free)) return null;
  const [allFiles = 0, freeFiles] = inodes.split(' ').map(Number);
  // Some file systems make room for files as they come, and count none.
  const files = freeFiles === undefined || allFiles === 0 ? null : freeFiles;
  return { total: total * 1024, free: free * 1024, files };
}

function agentOf(json: string): HostFacts['agent'] {
  const agent = parseAgents(json).find(({ name }) => name === AGENT_CONTAINER);
  return agent === undefined ? null : { image: agent.image, state: agent.state, health: agent.health };
}

function imageOf(json: string | undefined): LocalFacts | null {
  return json === undefined || json === '' ? null : imageSchema.parse(JSON.parse(json));
}
