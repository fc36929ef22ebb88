import { execa } from 'execa';
import { inspectHost, installHost, installPackages, type HostPart } from '../../src/effects/host-packages.ts';

/** What a rig needs of the machine. */
const PARTS: readonly HostPart[] = ['engine', 'client', 'compose', 'buildx', 'git', 'iproute2', 'iptables'];

/** What hosts and tests use besides: program and the package that has it. */
const TOOLS = {
  strace: 'strace',
  shellcheck: 'shellcheck',
  curl: 'curl',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  sudo: 'sudo',
  gpg: 'gnupg',
  tmux: 'tmux',
  'redis-server': 'redis-server',
  zsh: 'zsh',
  fish: 'fish',
};

const WITH_DAEMONS = `${process.env['PATH']}:/usr/sbin:/sbin`;

/** Installs what a bare machine lacks, in the way the product does it for operators. `more`: program and package, as above. */
export async function prepareMachine(more: Readonly<Record<string, string>> = {}): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('only root can start Docker engines of its own');
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const parts = (await inspectHost(PARTS)).filter((state) => state.state !== 'present').map((state) => state.part);
  await installHost(parts, report);
  const packages: string[] = [];
  for (const [program, name] of Object.entries({ ...TOOLS, ...more })) {
    if ((await execa('which', [program], { reject: false, env: { PATH: WITH_DAEMONS } })).exitCode !== 0)
      packages.push(name);
  }
  await installPackages(packages, report);
}
