import type { Text } from './text.ts';

/** Why an engine could not get an image. */
export type PullProblem =
  | 'disk'
  | 'login'
  | 'missing'
  | 'name'
  | 'plain'
  | 'certificate'
  | 'altered'
  | 'cut'
  | 'network'
  | 'other';

/**
 * The engine has one exit code for all of it, and tells the rest in words of its own, always English; registries add theirs. The first
 * that fits counts: a full disk is told at the end of many other lines.
 */
const SIGNS: readonly (readonly [PullProblem, RegExp])[] = [
  ['disk', /no space left on device|disk quota exceeded/i],
  ['login', /unauthorized|authentication required|no basic auth|access denied|access to the resource is denied/i],
  ['missing', /manifest unknown|manifest for .* not found|not found: manifest|no matching manifest|: not found/i],
  ['name', /no such host|server misbehaving|name resolution/i],
  ['plain', /server gave HTTP response to HTTPS client/i],
  ['certificate', /x509|certificate/i],
  ['altered', /verification failed|unexpected commit digest|unexpected commit size/i],
  // It was there, and then no more: what `dial` says is of a connection that never was.
  ['cut', /unexpected EOF|reset by peer|broken pipe|read tcp|httpReadSeeker|\bEOF\b/i],
  ['network', /refused|timeout|timed out|deadline exceeded|unreachable|no route to host/i],
];

/** What went wrong, from what `docker pull` wrote to stderr. */
export function pullProblem(told: string): PullProblem {
  return SIGNS.find(([, sign]) => sign.test(told))?.[0] ?? 'other';
}

/** In the user's terms: what is so, and what mends it. */
export function pullProblemText(problem: PullProblem, registry: string, image: string): { said: Text; mend: Text } {
  switch (problem) {
    case 'disk':
      return {
        said: { en: 'its disk is full', zh: '磁盘已满' },
        mend: {
          en: 'make room there: xingrin prune, or docker system df',
          zh: '请腾出空间:xingrin prune 或 docker system df',
        },
      };
    case 'login':
      return {
        said: {
          en: `${registry} wants a login for it, or there is no such image`,
          zh: `${registry} 要求登录,或该镜像不存在`,
        },
        mend: { en: `log in there: docker login ${registry}`, zh: `请在该主机上登录:docker login ${registry}` },
      };
    case 'missing':
      return {
        said: {
          en: `${registry} has no such image tag for this machine`,
          zh: `${registry} 上没有适合该主机的此镜像标签`,
        },
        mend: {
          en: 'was this version published? xingrin doctor tells',
          zh: '该版本是否已发布?可用 xingrin doctor 检查',
        },
      };
    case 'name':
      return {
        said: { en: `it cannot find the address of ${registry}`, zh: `无法解析 ${registry} 的地址` },
        mend: { en: 'check its name servers: /etc/resolv.conf', zh: '请检查该主机的域名服务器:/etc/resolv.conf' },
      };
    case 'plain':
      return {
        said: {
          en: `${registry} speaks plain HTTP, and its Docker asks for a certificate`,
          zh: `${registry} 使用明文 HTTP,而该主机的 Docker 要求证书`,
        },
        mend: {
          en: `give ${registry} a certificate; or, in a network that you trust, add it to insecure-registries in /etc/docker/daemon.json there`,
          zh: `请为 ${registry} 配置证书;若网络可信,也可将其加入该主机 /etc/docker/daemon.json 的 insecure-registries`,
        },
      };
    case 'certificate':
      return {
        said: { en: `it does not trust the certificate of ${registry}`, zh: `不信任 ${registry} 的证书` },
        mend: {
          en: `put its authority into /etc/docker/certs.d/${registry}/ca.crt there`,
          zh: `请把其 CA 证书放到该主机的 /etc/docker/certs.d/${registry}/ca.crt`,
        },
      };
    case 'altered':
      return {
        said: {
          en: `what ${registry} gave is not what its digest says`,
          zh: `${registry} 给出的内容与其摘要不符`,
        },
        mend: {
          en: `do not use ${registry}, or the proxy or mirror before it, before that is explained`,
          zh: `查明原因前,请勿使用 ${registry} 或其前面的代理、镜像站`,
        },
      };
    case 'cut':
      return {
        said: {
          en: `the connection to ${registry} broke off while it was loading`,
          zh: `下载过程中与 ${registry} 的连接中断`,
        },
        mend: {
          en: `try again: layers that are here already are kept; docker pull ${image} shows how far it gets`,
          zh: `请重试:已下载的层会保留;docker pull ${image} 可查看进度`,
        },
      };
    case 'network':
      return {
        said: { en: `it cannot reach ${registry}`, zh: `无法连接 ${registry}` },
        mend: {
          en: 'check its network, proxy and firewall; xingrin doctor looks from there',
          zh: '请检查该主机的网络、代理和防火墙;xingrin doctor 会从该主机检查',
        },
      };
    case 'other':
      return {
        said: { en: 'Docker there refused', zh: '该主机的 Docker 拒绝了' },
        mend: { en: `try it there: docker pull ${image}`, zh: `可在该主机上尝试:docker pull ${image}` },
      };
  }
}
