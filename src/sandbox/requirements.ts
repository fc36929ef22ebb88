import { fail } from '../domain/errors.ts';
import { inspectHost, type HostPart } from '../effects/host-packages.ts';

/** What a sandbox needs of the machine; everything else it unpacks for itself. */
export const SANDBOX_PARTS: readonly HostPart[] = ['engine', 'client', 'iproute2', 'iptables'];

/** Throws PRECONDITION or ENGINE_MISSING (exit 6) where a sandbox cannot be opened, with what to type. */
export async function requireSandboxParts(): Promise<void> {
  if (process.getuid?.() !== 0) {
    fail(
      'PRECONDITION',
      { en: 'only root can start a Docker engine of its own', zh: '只有 root 才能启动独立的 Docker 引擎' },
      { hint: { en: 'run the same command with sudo', zh: '请用 sudo 运行同一条命令' } },
    );
  }
  const missing = (await inspectHost(SANDBOX_PARTS)).filter((state) => state.state !== 'present');
  if (missing.length === 0) return;
  const names = missing.map(({ part, version }) => (version === null ? part : `${part} ${version}`)).join(', ');
  fail(
    'ENGINE_MISSING',
    { en: `missing or too old on this machine: ${names}`, zh: `本机缺少或版本过旧:${names}` },
    {
      hint: {
        en: 'apt-get install docker.io iproute2 iptables (and docker-cli where your distribution has it)',
        zh: 'apt-get install docker.io iproute2 iptables(若您的发行版有 docker-cli,也请一并安装)',
      },
    },
  );
}
