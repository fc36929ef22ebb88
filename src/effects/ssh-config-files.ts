import { readdirSync, readFileSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { fitsGlob } from '../domain/glob.ts';
import { inspectPrivateKey } from '../domain/private-key.ts';
import { expandIdentity, lookUpSsh, type SshSettings } from '../domain/ssh-config.ts';

const SYSTEM = '/etc/ssh/ssh_config';

/** What ~/.ssh/config, and after it the machine's own file, say of a host as it was typed. Files that cannot be read say nothing. */
export function sshSettings(alias: string): SshSettings {
  const own = join(homedir(), '.ssh');
  const user = lookUpSsh(textOf(join(own, 'config')), alias, userInfo().username, including(own));
  const system = lookUpSsh(textOf(SYSTEM), alias, userInfo().username, including('/etc/ssh'));
  // As with ssh, the first that says something counts; who says how to get there says all of it.
  const way = user.proxyCommand || user.proxyJump !== null ? user : system;
  return {
    hostName: user.hostName ?? system.hostName,
    user: user.user ?? system.user,
    port: user.port ?? system.port,
    identityFiles: [...user.identityFiles, ...system.identityFiles],
    proxyJump: way.proxyJump,
    proxyCommand: way.proxyCommand,
  };
}

/** The first of the named key files that is one; null if none is. */
export function firstIdentity(settings: SshSettings, host: string, user: string): string | null {
  const facts = { home: homedir(), localUser: userInfo().username, host, user };
  for (const file of settings.identityFiles) {
    const path = expandIdentity(file, facts);
    if (path !== null && isAbsolute(path) && inspectPrivateKey(textOf(path)) !== null) return path;
  }
  return null;
}

/** How the patterns of Include are read in a file whose folder this is. */
function including(folder: string): (pattern: string) => string[] {
  return (pattern) => {
    const path = pattern.startsWith('~/') ? join(homedir(), pattern.slice(2)) : pattern;
    return matches(isAbsolute(path) ? path : join(folder, path)).map(textOf);
  };
}

/** Files that fit a path with patterns in it, sorted. */
function matches(path: string): string[] {
  let found = ['/'];
  for (const part of path.split('/').filter((each) => each !== '')) {
    found = /[*?]/.test(part)
      ? found.flatMap((folder) =>
          namesIn(folder)
            .filter((name) => fits(part, name))
            .map((name) => join(folder, name)),
        )
      : found.map((folder) => join(folder, part));
  }
  return found;
}

function fits(pattern: string, name: string): boolean {
  return fitsGlob(pattern, name) && (pattern.startsWith('.') || !name.startsWith('.'));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
