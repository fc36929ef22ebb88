/**
 * A program that can be ended from another session: its process number comes on a line of stdout of its own, then it runs. What stands
 * before that line a login shell has said, which is nobody's answer. A server refuses the signals of the protocol where it does not
 * separate privileges, as for root.
 */
export function announced(argv: readonly string[]): string[] {
  return ['sh', '-c', `printf '\\n${ANNOUNCED}%s\\n' "$$" && exec "$@"`, 'sh', ...argv];
}

/** What stands before the process number. */
export const ANNOUNCED = 'xingrin-process ';

/** Ends it with all that it started, where it leads a group, which is what a server makes it do. */
export function endProcess(pid: string, signal: 'TERM' | 'KILL'): string[] {
  return ['sh', '-c', 'kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2"', 'sh', signal, pid];
}
