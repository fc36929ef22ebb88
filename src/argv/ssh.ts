import { fail } from '../domain/errors.ts';
import type { Endpoint } from '../domain/inventory.ts';
import { quoted } from '../domain/quote.ts';

/** What the `ssh` program is told of a host. */
export interface SshProgramSettings {
  readonly host: Endpoint & { readonly jumps: readonly Endpoint[] };
  /** Paths of private keys; `usual`: those of the agent and of the other files as well. */
  readonly keys: { readonly paths: readonly string[]; readonly usual: boolean };
  readonly knownHosts: string;
  /** With `%C` in it: one for each connection. */
  readonly controlPath: string;
  /** Seconds. */
  readonly connectLimit: number;
  readonly keepalive: { readonly interval: number; readonly count: number };
  /** Paths of files whose settings count after ours. */
  readonly others: readonly string[];
}

/** The text of a file for `ssh -F`. The first value of a setting counts, so that the files at the end cannot loosen anything. */
export function sshConfig(settings: SshProgramSettings): string {
  const { host, keys, keepalive } = settings;
  const way = host.jumps.map(({ user, host: at, port }) => `${user}@${at.includes(':') ? `[${at}]` : at}:${port}`);
  return [
    'BatchMode yes',
    'StrictHostKeyChecking yes',
    `UserKnownHostsFile ${path(settings.knownHosts)}`,
    'GlobalKnownHostsFile /dev/null',
    'CheckHostIP no',
    'UpdateHostKeys no',
    'VerifyHostKeyDNS no',
    'NoHostAuthenticationForLocalhost no',
    `ConnectTimeout ${settings.connectLimit}`,
    'ConnectionAttempts 1',
    `ServerAliveInterval ${keepalive.interval}`,
    `ServerAliveCountMax ${keepalive.count}`,
    'ControlMaster auto',
    `ControlPath ${path(settings.controlPath)}`,
    'ControlPersist 60',
    'ClearAllForwardings yes',
    'ForwardAgent no',
    'ForwardX11 no',
    'PermitLocalCommand no',
    'RemoteCommand none',
    'RequestTTY no',
    'EscapeChar none',
    'LogLevel ERROR',
    ...(keys.usual ? [] : ['IdentitiesOnly yes', 'IdentityAgent none']),
    ...keys.paths.map((each) => `IdentityFile ${path(each)}`),
    // The program reads this file for the servers on the way, too.
    ...(way.length === 0 ? [] : [`Match originalhost ${host.host}`, `ProxyJump ${way.join(',')}`, 'Match all']),
    ...(keys.usual ? settings.others.map((each) => `Include ${path(each)}`) : []),
    '',
  ].join('\n');
}

/** Pinned host keys as `ssh` reads them. */
export function knownHosts(endpoints: readonly Endpoint[]): string {
  return endpoints
    .map(({ host, port, hostKey }) => `${port === 22 ? host : `[${host}]:${port}`} ${hostKey ?? ''}\n`)
    .join('');
}

/**
 * A call of the program.
 *
 * @param log a file for what it has to say itself: what the command over there says stays apart
 * @param command text for the login shell over there, or nothing
 */
export function sshArgv(
  { host, port, user }: Endpoint,
  config: string,
  log: string,
  flags: readonly string[],
  command: readonly string[],
): string[] {
  return ['ssh', '-F', config, '-E', log, '-p', String(port), '-l', user, ...flags, '--', host, ...command];
}

/** In quotes, which know no escape. */
function path(text: string): string {
  if (!/["\n\r]/.test(text)) return `"${text}"`;
  return fail('BAD_INPUT', {
    en: `the ssh program cannot be told of a file named ${quoted(text)}`,
    zh: `无法让 ssh 程序使用名为 ${quoted(text)} 的文件`,
  });
}
