import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTRY } from './rig.ts';

let folder: string;
let env: Record<string, string>;

// No engine and no registry: a project with a worker, three versions and a history.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xingrin-completion-'));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await symlink(ENTRY, join(bin, 'xingrin'));
  const path = process.env['PATH'] ?? '';
  env = { HOME: folder, PATH: `${bin}:${path}`, LANG: 'C.UTF-8', TERM: 'xterm', GIT_CONFIG_NOSYSTEM: '1' };
  const shop = join(folder, 'shop');
  await run(['xingrin', 'init', shop]);
  const git = ['-c', 'user.name=T', '-c', 'user.email=t@example.invalid', '-C', shop];
  await run(['git', ...git, 'init', '--quiet']);
  await run(['git', ...git, 'add', '--all']);
  await run(['git', ...git, 'commit', '--quiet', '--message', 'start']);
  for (const version of ['v1.0.0', 'v1.2.0', 'v1.10.0', 'other']) await run(['git', ...git, 'tag', version]);
  await mkdir(join(shop, '.xingrin'), { recursive: true });
  const inventory = 'workers:\n  - id: 2\n    name: eu-1\n    host: 192.0.2.1\n';
  await writeFile(join(shop, '.xingrin/inventory.yaml'), inventory);
  const deployment = { id: 'x', at: '2026-01-01T00:00:00.000Z', command: 'install', version: 'v1.0.0', commit: null };
  const history = { schema: 'xingrin-history/v1', deployments: [{ ...deployment, images: {} }] };
  await writeFile(join(shop, '.xingrin/history.json'), JSON.stringify(history));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(argv: readonly string[]): Promise<string> {
  const [file = '', ...args] = argv;
  const { stdout } = await execa(file, args, { cwd: folder, env, extendEnv: false, stdin: 'ignore' });
  return stdout;
}

/** What the shell offers for an unfinished line. */
const SHELLS: Readonly<Record<string, (line: string) => Promise<string[]>>> = {
  async bash(line) {
    const script = `source <(xingrin completion bash)
      COMP_LINE=$1; COMP_POINT=\${#1}; COMP_WORDS=(); COMP_CWORD=0
      read -ra COMP_WORDS <<< "\${1//=/ = }"
      [[ $1 == *' ' || $1 == *= ]] && COMP_WORDS+=('')
      COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
      $(complete -p xingrin | sed 's/.*-F \\([^ ]*\\).*/\\1/') xingrin
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    return lines(await run(['bash', '--norc', '-c', script, 'bash', line]));
  },
  async fish(line) {
    const out = await run([
      'fish',
      '--no-config',
      '-c',
      'xingrin completion fish | source; complete -C $argv[1]',
      line,
    ]);
    return lines(out).map((each) => each.split('\t')[0] ?? '');
  },
  // Zsh completes in its line editor only: it is given a terminal, a key is pressed, and the line says what came of it.
  async zsh(line) {
    const script = `zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z 'PS1="" PS2=""; autoload -Uz compinit; compinit -u -D; source <(xingrin completion zsh)'
      zpty -w z 'show() { print -r -- "<<$BUFFER>>"; zle send-break }; zle -N show; bindkey "^G" show; setopt menu_complete; print -r -- rea""dy'
      zpty -r z out '*ready*'
      zpty -w -n z "$1"$'\\t\\a'
      zpty -r z out '*<<*>>*'
      print -r -- "$out"
      zpty -d z`;
    const out = await run(['timeout', '60', 'zsh', '-f', '-c', script, 'zsh', line]);
    return [/<<([^>]*)>>/.exec(out)?.[1] ?? out];
  },
};

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

const CASES: readonly [line: string, offered: readonly string[]][] = [
  ['xingrin unin', ['uninstall']],
  ['xingrin worker sh', ['show']],
  ['xingrin update --de', ['--dev', '--detailed-exitcode']],
  ['xingrin -C shop worker show ', ['local', 'eu-1']],
  ['xingrin -C shop task run --worker e', ['eu-1']],
  ['xingrin --project=shop update v1.', ['v1.10.0', 'v1.2.0', 'v1.0.0']],
  ['xingrin -C shop rollback ', ['v1.0.0']],
  ['xingrin backup re', ['restore']],
  ['xingrin --lang z', ['zh']],
  ['xingrin -C shop task run -- ', []],
];

describe('bash and fish offer', () => {
  for (const shell of ['bash', 'fish'] as const) {
    test.each(CASES)(`${shell}: %s`, async (line, offered) => {
      const found = (await SHELLS[shell]?.(line)) ?? [];
      expect(found.toSorted()).toEqual(offered.toSorted());
    });
  }
});

test('bash takes --worker=e apart, and gets the rest', async () => {
  expect(await SHELLS['bash']?.('xingrin -C shop task run --worker=e')).toEqual(['eu-1']);
});

test.each([
  ['xingrin unin', 'xingrin uninstall '],
  ['xingrin -C shop worker show e', 'xingrin -C shop worker show eu-1 '],
  ['xingrin -C shop update v1.2', 'xingrin -C shop update v1.2.0 '],
])('zsh completes: %s', async (line, completed) => {
  const [found] = (await SHELLS['zsh']?.(line)) ?? [];
  expect(`${found?.trimEnd()} `).toBe(completed);
});

test('a shell that is not known is refused with the command for one that is', async () => {
  const { exitCode, stderr } = await execa('xingrin', ['completion', 'bsh'], { env, extendEnv: false, reject: false });
  expect([exitCode, stderr.includes('source <(xingrin completion bash)')]).toEqual([2, true]);
});
