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
