import { execa } from 'execa';
import { inspectHost, installHost, installPackages, type HostPart } from '../../src/effects/host-packages.ts';
import { BASE_IMAGES, prepareBaseImages } from '../../src/sandbox/base-images.ts';
import { sweep } from '../../src/sandbox/records.ts';

/**
 * Runs once before all end-to-end tests: installs what a bare machine lacks, in the way the product does it for operators. Every test file opens a sandbox of its own; what they share is the cache of base
 * images, filled here so that files that run side by side do not fill it twice.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await installMissing();
  await sweep();
  await prepareBaseImages(BASE_IMAGES);
  return async () => {
    await sweep();
  };
}

const PARTS: readonly HostPart[] = ['engine', 'client', 'compose', 'buildx', 'git', 'iproute2', 'iptables'];

/** What tests use besides: program and the package that has it. */
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

async function installMissing(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new Error('the end-to-end tests start Docker engines of their own: run them as root');
  const report = (line: string): void => void process.stderr.write(`${line}\n`);
  const parts = (await inspectHost(PARTS)).filter((state) => state.state !== 'present').map((state) => state.part);
  await installHost(parts, report);
  const packages: string[] = [];
  for (const [program, name] of Object.entries(TOOLS)) {
    if ((await execa('which', [program], { reject: false, env: { PATH: WITH_DAEMONS } })).exitCode !== 0)
      packages.push(name);
  }
  await installPackages(packages, report);
}
