import { shellCommand } from './shell-quote.ts';
import { SWAP_SCRIPT } from './swap-script.ts';

/** The agent's container on a worker; there is one on a host. */
export const AGENT_CONTAINER = 'xingrin-agent';
/** A new agent, until it has shown that it works. */
export const NEXT_CONTAINER = `${AGENT_CONTAINER}-next`;

export const PROJECT_LABEL = 'xingrin.project';
export const WORKER_LABEL = 'xingrin.worker';
/** A fingerprint of all that the container was made from. */
const MARK_LABEL = 'xingrin.mark';

/** What the container of an agent is made from. */
export interface AgentSpec {
  /** `repository/xingrin-agent:v1.2.3`; it must be on the worker. */
  readonly image: string;
  readonly version: string;
  /** Name of the Compose project that it works for. */
  readonly project: string;
  readonly workerId: number;
  readonly environment: AgentEnvironment;
}

/** Holds a secret: goes through standard input, never into an argv, a plan or a journal. */
export interface AgentEnvironment {
  readonly SERVER_URL: string;
  readonly WORKER_ID: string;
  readonly WORKER_NAME: string;
  readonly IS_LOCAL: 'true' | 'false';
  readonly AGENT_TOKEN: string;
  /** The certificate authority of the server, PEM; absent where the usual ones will do. */
  readonly SERVER_CA?: string;
}

/** What follows `docker create --name NAME`. Values of variables are taken from the environment of the caller. */
export function agentContainer({ image, project, workerId, environment }: AgentSpec): string[] {
  return [
    // It gets its restart policy when it has proved itself: until then a reboot brings the old one back.
    '--restart=no',
    '--pull=never',
    '--label',
    `${PROJECT_LABEL}=${project}`,
    '--label',
    `${WORKER_LABEL}=${workerId}`,
    ...Object.keys(environment).flatMap((key) => ['--env', key]),
    '--volume',
    '/proc:/host/proc:ro',
    '--read-only',
    '--cap-drop=ALL',
    '--security-opt=no-new-privileges',
    '--tmpfs=/tmp',
    '--log-driver=json-file',
    '--log-opt=max-size=10m',
    '--log-opt=max-file=3',
    '--health-cmd=/bin/sh /opt/agent/agent.sh check',
    '--health-timeout=3s',
    '--health-start-period=20s',
    image,
  ];
}

/** A program for a connection, with what it reads. */
export interface ScriptCall {
  readonly argv: readonly string[];
  readonly input: string;
}

/**
 * Begins a swap; ends at once with `begun`, with `inplace` where that very agent runs and is healthy, or with `busy ID` where another
 * swap is at work.
 *
 * @param id told when asking later: letters, digits and dashes
 * @param limit seconds for the new agent to become healthy
 * @param mark a fingerprint of the spec; it must tell nothing about the secret in it
 */
export function beginSwap(id: string, limit: number, mark: string, spec: AgentSpec): ScriptCall {
  const container = ['--label', `${MARK_LABEL}=${mark}`, ...agentContainer(spec)];
  return swapCall(
    ['begin', id, String(limit), spec.version, mark, spec.image, ...container],
    Object.entries(spec.environment),
  );
}

/** Asks how a swap stands, waiting up to so many seconds for its end. */
export function askSwap(id: string, seconds: number): ScriptCall {
  return swapCall(['ask', id, String(seconds)], []);
}

/** Takes the agents of a project off the worker, running or not, and what swaps left. */
export function removeAgent(project: string): ScriptCall {
  return swapCall(['remove', `${PROJECT_LABEL}=${project}`], []);
}

/** The call is inside braces: a script that arrives in part does nothing. */
function swapCall(args: readonly string[], environment: readonly (readonly [string, string])[]): ScriptCall {
  const exports = environment.map(([key, value]) => shellCommand(['export', `${key}=${value}`]));
  return {
    argv: ['sh', '-s', '--', ...args],
    input: [...exports, SWAP_SCRIPT, '{ main "$@"; exit; }', ''].join('\n'),
  };
}
