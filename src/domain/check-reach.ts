import type { Complaint, Look } from './checkup.ts';
import { same, type Text } from './text.ts';

/** How asking for a registry from a host went. */
export interface ProbeOutcome {
  readonly program: 'curl' | 'wget' | 'none';
  readonly code: number;
  /** 0 where there was no answer, or where the program does not say. */
  readonly status: number;
}

const CURL = {
  unresolved: [5, 6],
  refused: [7],
  silent: [28],
  tls: [35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91],
};

/** Whether a host can get at the registry; the best of the ways there counts. */
export function checkProbes(registry: string, outcomes: readonly ProbeOutcome[], worker: string): Look {
  const [first] = outcomes;
  if (first === undefined || outcomes.some(answered)) return good('');
  if (first.program === 'none') {
    return {
      fact: same('?'),
      complaints: [
        {
          code: 'PROBE_IMPOSSIBLE',
          grave: false,
          seen: { en: 'there is neither curl nor wget', zh: '既没有 curl 也没有 wget' },
          why: {
            en: `whether ${registry} can be reached from there is not known`,
            zh: `无法得知从该主机能否访问 ${registry}`,
          },
          mend: same(`xingrin worker exec ${worker} -- apt-get install -y curl`),
        },
      ],
    };
  }
  const reason = reasonOf(first);
  const told: Text = {
    UNRESOLVED: { en: `its name servers do not know ${registry}`, zh: `其域名服务器无法解析 ${registry}` },
    REFUSED: { en: `nobody listens at ${registry}, seen from there`, zh: `从该主机访问 ${registry} 被拒绝连接` },
    CERTIFICATE: {
      en: `it does not believe the certificate of ${registry}`,
      zh: `该主机不信任 ${registry} 的证书`,
    },
    SILENT: { en: `${registry} does not answer it`, zh: `从该主机访问 ${registry} 没有应答` },
  }[reason];
  return {
    fact: same(reason),
    complaints: [
      {
        code: `REGISTRY_${reason}`,
        grave: true,
        seen: told,
        why: {
          en: 'this host cannot pull: it stays on its version when the others go on',
          zh: '该主机无法拉取镜像:其他主机更新时它会停留在旧版本',
        },
        mend:
          reason === 'CERTIFICATE'
            ? {
                en: `put the registry's authority into /etc/docker/certs.d/${registry}/ca.crt there`,
                zh: `把镜像仓库的 CA 证书放到该主机的 /etc/docker/certs.d/${registry}/ca.crt`,
              }
            : {
                en: `check its network, proxy and firewall: xingrin worker exec ${worker} -- curl -v https://${registry}/v2/`,
                zh: `请检查其网络、代理和防火墙:xingrin worker exec ${worker} -- curl -v https://${registry}/v2/`,
              },
      },
    ],
  };
}

function answered({ program, code, status }: ProbeOutcome): boolean {
  // wget: 6 and 8 are answers that it does not like.
  return program === 'curl' ? code === 0 && status > 0 : program === 'wget' && [0, 6, 8].includes(code);
}

function reasonOf({ program, code }: ProbeOutcome): 'UNRESOLVED' | 'REFUSED' | 'CERTIFICATE' | 'SILENT' {
  if (program === 'wget') return code === 5 ? 'CERTIFICATE' : 'SILENT';
  if (CURL.unresolved.includes(code)) return 'UNRESOLVED';
  if (CURL.refused.includes(code)) return 'REFUSED';
  return CURL.tls.includes(code) ? 'CERTIFICATE' : 'SILENT';
}

/**
 * Says where an engine goes to Docker Hub itself while the main server's asks a mirror first; null where that is the same.
 *
 * @param mirrors of a worker's engine, and of the main server's
 */
export function checkMirrors(mirrors: readonly string[], main: readonly string[], worker: string): Complaint | null {
  const plain = (url: string): string => url.replace(/\/+$/, '');
  const own = mirrors.map(plain);
  if (main.length === 0 || main.some((url) => own.includes(plain(url)))) return null;
  const settings = JSON.stringify({ 'registry-mirrors': main.map(plain) });
  return {
    code: 'MIRROR_MISSING',
    grave: false,
    seen: {
      en: `its engine does not ask the main server's mirror, ${main.map(plain).join(', ')}`,
      zh: `其引擎未使用主服务器的镜像加速 ${main.map(plain).join('、')}`,
    },
    why: {
      en: 'it pulls from Docker Hub itself: slower, and each pull counts against the limit there',
      zh: '它直接从 Docker Hub 拉取:较慢,且计入 Docker Hub 的拉取限额',
    },
    mend: {
      en: `put ${settings} into /etc/docker/daemon.json there, then: xingrin worker exec ${worker} -- systemctl reload docker`,
      zh: `在该主机的 /etc/docker/daemon.json 中写入 ${settings},然后:xingrin worker exec ${worker} -- systemctl reload docker`,
    },
  };
}

function good(fact: string): Look {
  return { fact: same(fact), complaints: [] };
}
