import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { checkDocument } from './documents.ts';
import { ENTRY, type Outcome, type RunOptions } from './rig.ts';

/** A project in git and a home, without engine and registry: for what needs neither. */
export interface PlainPlace {
  readonly folder: string;
  /** What `init` wrote, committed. */
  readonly project: string;
  readonly env: Readonly<Record<string, string>>;
  xingrin(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  run(argv: readonly string[], options?: RunOptions): Promise<Outcome>;
  git(...args: string[]): Promise<string>;
  close(): Promise<void>;
}

export async function openPlainPlace(): Promise<PlainPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'xingrin-plain-'));
  const home = join(folder, 'home');
  const project = join(folder, 'shop');
  await mkdir(home);
  const identity = '[user]\n\tname = Test\n\temail = test@example.invalid\n[init]\n\tdefaultBranch = main\n';
  await writeFile(join(home, '.gitconfig'), identity);
  const env = { HOME: home, PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', TERM: 'xterm', GIT_CONFIG_NOSYSTEM: '1' };

  async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const [file = '', ...args] = argv;
    const wanted = Object.entries({ ...env, ...options.env });
    const {
      exitCode = -1,
      stdout,
      stderr,
    } = await execa(file, args, {
      reject: false,
      extendEnv: false,
      cwd: options.cwd ?? project,
      env: Object.fromEntries(wanted.filter((entry): entry is [string, string] => entry[1] !== undefined)),
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    });
    return { exitCode, stdout, stderr };
  }
  async function xingrin(args: readonly string[], options?: RunOptions): Promise<Outcome> {
    const outcome = await run([process.execPath, ENTRY, ...args], options);
    if (args.includes('--json')) await checkDocument(outcome.stdout);
    return outcome;
  }
  async function git(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await run(['git', ...args]);
    if (exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  await xingrin(['init', project], { cwd: folder });
  await git('init', '--quiet');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'start');
  return { folder, project, env, xingrin, run, git, close: () => rm(folder, { recursive: true, force: true }) };
}
