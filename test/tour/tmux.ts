import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../until.ts';
import { ENTRY, type Rig } from '../e2e/rig.ts';

/** A real terminal of 80 columns with a shell in it, at which somebody types. */
export interface Screen {
  /** Types a command and waits for its end; `answers` are given one after the other, each when its time has come. */
  type(command: string, answers?: readonly Answer[]): Promise<Said>;
  close(): Promise<void>;
}

/** What is typed when the command asks, or a key that is pressed once the screen shows something. */
export type Answer = string | { readonly once: RegExp; readonly press: string };

export interface Said {
  readonly exitCode: number;
  /** What stands on the screen and above it, the typed line included; a line that the terminal had to break is one line here. */
  readonly lines: readonly string[];
}

const COLUMNS = 80;

export async function openScreen(rig: Rig, cwd: string, env: Readonly<Record<string, string>>): Promise<Screen> {
  const bin = join(rig.folder, 'bin');
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, 'xingrin'), `#!/bin/sh\nexec ${process.execPath} ${ENTRY} "$@"\n`, { mode: 0o755 });
  const socket = join(rig.folder, `tmux-${Object.values(env).join('-')}`);
  const tmux = (...args: string[]): Promise<string> =>
    rig.must(['tmux', '-u', '-S', socket, '-f', '/dev/null', ...args]);
  const whole = { ...rig.env, PATH: `${bin}:${rig.env['PATH']}`, TERM: 'xterm-256color', PS1: '$ ', ...env };
  const shell = [
    'env',
    '-i',
    ...Object.entries(whole).map(([key, value]) => `${key}=${value}`),
    'bash',
    '--norc',
    '--noprofile',
  ];
  await tmux('new-session', '-d', '-x', String(COLUMNS), '-y', '50', '-c', cwd, ...shell);
  await tmux('set-option', '-g', 'history-limit', '20000');
  const screen = (): Promise<string> => tmux('capture-pane', '-p', '-J', '-S', '-');
  let count = 0;
  return {
    async type(command, answers = []) {
      await tmux('send-keys', '-R');
      await tmux('clear-history');
      count += 1;
      const end = `ended-${count}`;
      await tmux('send-keys', '-l', `${command}; echo "[$?] ${end}"`);
      await tmux('send-keys', 'Enter');
      let left = [...answers];
      let seen = 0;
      let text = '';
      await until(`the end of ${command}`, async () => {
        text = await screen();
        const asked = text.match(/\([yY]\/[nN]\)/g)?.length ?? 0;
        const [next] = left;
        if (typeof next === 'string' && asked > seen) {
          seen = asked;
          await tmux('send-keys', '-l', next);
          await tmux('send-keys', 'Enter');
          left = left.slice(1);
        } else if (typeof next === 'object' && next.once.test(text)) {
          await tmux('send-keys', next.press);
          left = left.slice(1);
        }
        return new RegExp(`^\\[\\d+\\] ${end}$`, 'm').test(text);
      });
      const exitCode = Number(new RegExp(`^\\[(\\d+)\\] ${end}$`, 'm').exec(text)?.[1]);
      const lines = text.split('\n').map((line) => line.trimEnd());
      return {
        exitCode,
        lines: lines.slice(
          0,
          lines.findIndex((line) => line.endsWith(`] ${end}`) && line.startsWith('[')),
        ),
      };
    },
    close: async () => void (await tmux('kill-server').catch(() => '')),
  };
}
