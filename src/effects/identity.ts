import { hostname, userInfo } from 'node:os';

/** Who runs this process, for locks and history; the person behind sudo where there is one. */
export function whoAmI(): { user: string; host: string; pid: number } {
  return { user: process.env['SUDO_USER'] ?? userName(), host: hostname(), pid: process.pid };
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
