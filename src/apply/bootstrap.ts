import {
  allowDocker,
  askMachine,
  installDocker,
  NO_DOCKER,
  NO_PACKAGES,
  SUDO_ASKS,
  trySudo,
} from '../argv/bootstrap.ts';
import { checkClock, checkDisk, type HostFacts } from '../domain/check-host.ts';
import { fail } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';
import type { Connection } from '../effects/transport.ts';
import { readHostFacts } from '../observe/host-facts.ts';

/** Milliseconds: package sources may be slow. */
const INSTALL_LIMIT = 15 * 60_000;
const LIMIT = 30_000;
/** Bytes that an agent and a worker image take at least, and what an engine takes that is to be installed. */
const NEEDED = 100_000_000;
const ENGINE = 500_000_000;

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'linux/amd64',
  aarch64: 'linux/arm64',
  armv7l: 'linux/arm/v7',
  ppc64le: 'linux/ppc64le',
  s390x: 'linux/s390x',
  riscv64: 'linux/riscv64',
};

/**
 * Refuses (exit 6, naming the host and what mends it) a host that cannot become a worker. Changes nothing.
 *
 * @param install Docker may be missing: it will be installed
 * @param platforms what the images were published for; null if that is not known
 */
export async function requireFitHost(
  connection: Connection,
  host: string,
  options: { readonly install: boolean; readonly platforms: readonly string[] | null },
): Promise<void> {
  await requireMachine(connection, host, options.platforms);
  const facts = await readHostFacts(connection, []);
  if (!options.install && !(facts.docker === 'denied' && (await sudoAsksNothing(connection))))
    requireDocker(facts, host);
  const needed = NEEDED + (facts.docker === 'absent' ? ENGINE : 0);
  const main = { en: 'the main server', zh: '主服务器' };
  for (const { complaints } of [checkDisk(facts, needed), checkClock(facts, main, host)]) {
    const grave = complaints.find((complaint) => complaint.grave);
    if (grave === undefined) continue;
    const code = grave.code.startsWith('CLOCK') ? 'PRECONDITION' : 'DISK';
    fail(code, { en: `${host}: ${grave.seen.en}`, zh: `${host}:${grave.seen.zh}` }, { host, hint: grave.mend });
  }
}

async function sudoAsksNothing(connection: Connection): Promise<boolean> {
  return (await connection.exec(trySudo(), { timeout: LIMIT })).code === 0;
}

async function requireMachine(
  connection: Connection,
  host: string,
  platforms: readonly string[] | null,
): Promise<void> {
  const { stdout } = await connection.exec(askMachine(), { timeout: LIMIT });
  const [system = '?', machine = '?'] = stdout.trim().split(' ');
  if (system !== 'Linux') {
    fail(
      'PRECONDITION',
      { en: `${host} runs ${system}: workers run Linux`, zh: `${host} 的系统为 ${system}:worker 须为 Linux` },
      { host },
    );
  }
  const platform = ARCHITECTURES[machine];
  if (platforms === null || platform === undefined || platforms.includes(platform)) return;
  fail(
    'PRECONDITION',
    {
      en: `${host} is ${platform}, and this release has images for ${platforms.join(', ')} only`,
      zh: `${host} 为 ${platform},而此版本只有 ${platforms.join('、')} 的镜像`,
    },
    {
      host,
      hint: {
        en: `add ${platform} to the platforms in xingrin.yaml and publish a release`,
        zh: `请在 xingrin.yaml 的 platforms 中加入 ${platform} 并发布新版本`,
      },
    },
  );
}

function requireDocker({ docker }: Pick<HostFacts, 'docker'>, host: string): void {
  if (docker === 'answers') return;
  if (docker === 'absent') {
    fail(
      'ENGINE_MISSING',
      { en: `docker is not installed on ${host}`, zh: `${host} 上未安装 docker` },
      {
        host,
        hint: { en: 'add --install-docker to have it installed', zh: '加上 --install-docker 由本程序安装' },
      },
    );
  }
  fail(
    'ENGINE_MISSING',
    docker === 'denied'
      ? { en: `the user may not use Docker on ${host}`, zh: `该用户无权使用 ${host} 上的 Docker` }
      : { en: `Docker on ${host} does not answer`, zh: `${host} 上的 Docker 没有响应` },
    {
      host,
      hint:
        docker === 'denied'
          ? {
              en: 'there: sudo usermod -aG docker USER; then again. Where sudo asks for nothing (NOPASSWD) this is done for you',
              zh: '请在该主机上执行:sudo usermod -aG docker 用户;然后重试。若 sudo 免密(NOPASSWD),则由本程序代为执行',
            }
          : { en: 'start it there: sudo systemctl start docker', zh: '请在该主机上启动:sudo systemctl start docker' },
    },
  );
}

/** Installs Docker where it is missing. Never taken back: others may use it by then. Throws PRECONDITION (exit 6) with the reason. */
export async function ensureDocker(
  connection: Connection,
  host: string,
  mirrors: readonly string[],
  signal: AbortSignal,
  report: (line: string) => void,
): Promise<void> {
  const { argv, input } = installDocker(mirrors);
  const { code, stdout, stderr } = await connection.exec(argv, {
    input,
    timeout: INSTALL_LIMIT,
    signal,
    onLine: report,
  });
  if (code === 0) return;
  if (code === SUDO_ASKS) {
    fail(
      'PRECONDITION',
      {
        en: `only root may install Docker on ${host}, and this user does not become root there without a password`,
        zh: `在 ${host} 上安装 Docker 需要 root,而该用户无法免密使用 sudo`,
      },
      {
        host,
        hint: {
          en: 'add the host as root@HOST, let sudo ask this user for nothing (NOPASSWD), or install docker.io there by hand',
          zh: '请以 root@主机 添加,或为该用户配置免密 sudo(NOPASSWD),或手动安装 docker.io',
        },
      },
    );
  }
  fail('PRECONDITION', whyNotInstalled(code, host), {
    host,
    evidence: (stderr.trim() === '' ? stdout : stderr).trimEnd().split('\n').slice(-6).join('\n'),
    hint: { en: 'install Docker Engine there by hand, then try again', zh: '请在该主机上手动安装 Docker 引擎后重试' },
  });
}

function whyNotInstalled(code: number, host: string): Text {
  if (code === NO_PACKAGES) {
    return {
      en: `${host} has neither apt nor dnf, which are the package managers that we know`,
      zh: `${host} 上没有 apt 或 dnf,本程序只支持这两种包管理器`,
    };
  }
  if (code === NO_DOCKER) {
    return {
      en: `the distribution on ${host} has no Docker among its packages, and Docker's own repository does not answer from there`,
      zh: `${host} 的发行版软件源中没有 Docker,且从该主机无法访问 Docker 官方软件源`,
    };
  }
  return { en: `Docker could not be installed on ${host}`, zh: `无法在 ${host} 上安装 Docker` };
}

/** Lets a user use Docker who may become root there. Never taken back. Throws PRECONDITION (exit 6) with the reason. */
export async function ensureAllowed(connection: Connection, host: string): Promise<void> {
  const { argv, input } = allowDocker();
  const { code, stderr } = await connection.exec(argv, { input, timeout: 2 * LIMIT });
  if (code === 0) return;
  fail(
    'PRECONDITION',
    {
      en: `this user could not be let use Docker on ${host}`,
      zh: `无法授权该用户使用 ${host} 上的 Docker`,
    },
    {
      host,
      evidence: stderr.trimEnd().split('\n').slice(-6).join('\n'),
      hint: {
        en: 'the group of /var/run/docker.sock must be docker, and the user in it: sudo usermod -aG docker USER',
        zh: '/var/run/docker.sock 的属组须为 docker,且该用户在组内:sudo usermod -aG docker 用户',
      },
    },
  );
}
