import { hostname, userInfo } from 'node:os';

/** Who runs this process, for locks and history; the person behind sudo where there is one. */
export function whoAmI(): { user: string; host: string; pid: number } {
  return { user: process.env['SUDO_USER'] ?? userName(), host: hostname(), pid: process.pid };
}

/**
 * The users whose files we obey: our own, root, and the person behind sudo. Empty where the system has no user ids.
 *
 * Source of the rule: git's own guard of ownership (safe.directory) trusts the same three.
 */
export function trustedUids(): ReadonlySet<number> {
  const own = process.geteuid?.();
  if (own === undefined) return new Set();
  const behindSudo = process.env['SUDO_UID'] ?? '';
  return new Set([own, 0, ...(own === 0 && /^\d{1,10}$/.test(behindSudo) ? [Number(behindSudo)] : [])]);
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as in some containers.
    return String(process.getuid?.() ?? '?');
  }
}

/** Whether a process of this machine, as far as we can see it, has that number. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Somebody else's process may not be signalled, but it is there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
