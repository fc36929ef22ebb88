import type { Complaint, Look } from './checkup.ts';
import { tagOf } from './image.ts';
import { same, type Text } from './text.ts';

/** How often images may still be pulled. */
export interface PullBudget {
  readonly left: number;
  readonly of: number;
  /** Seconds in which they come back. */
  readonly window: number;
}

/** What a registry says of one image. */
export interface ImageAnswer {
  /** As one types it. */
  readonly reference: string;
  /** As HTTP has it: 200, 401, 404, 429 … */
  readonly status: number;
  readonly digest: string | null;
  /** For 404: whether the repository is there at all; null if the registry does not say. */
  readonly repository: boolean | null;
  /** Digests of the release lock, any of which will do; null for what is in none. */
  readonly locked: readonly string[] | null;
}

export interface RegistryFacts {
  /** `docker.io` or `host:port`. */
  readonly registry: string;
  /** The mirror that answered in its place; null if it did so itself. */
  readonly mirror: string | null;
  /** Somebody is logged in there. */
  readonly login: boolean;
  /** Why nobody answered: the system's own code, `TIMEOUT`, or null where there is none. */
  readonly silence: { readonly code: string | null; readonly words: string } | null;
  readonly images: readonly ImageAnswer[];
  readonly pulls: PullBudget | null;
}

const HUB = 'docker.io';

/** Whether a registry answers, and lets us in. */
export function checkRegistry(facts: RegistryFacts): Look {
  const { registry, mirror, silence, images } = facts;
  const by = mirror === null ? '' : ` (${mirror})`;
  if (silence !== null)
    return { fact: same(`${registry}${by}`), complaints: [silent(registry, silence.code, silence.words)] };
  const refused = images.find(({ status }) => status === 401 || status === 403);
  const broken = images.find(({ status }) => status >= 500);
  return {
    fact: { en: `${registry}${by} answers`, zh: `${registry}${by} 应答正常` },
    complaints: [
      ...(refused === undefined ? [] : [locked(facts, refused)]),
      ...(broken === undefined ? [] : [failing(registry, broken)]),
    ],
  };
}

/** Whether each image is there, and is the one that was released. */
export function checkTags(facts: readonly RegistryFacts[]): Look {
  const images = facts.flatMap((each) => each.images.map((image) => ({ ...image, registry: each.registry })));
  const there = images.filter(({ status }) => status === 200).length;
  return {
    fact: { en: `${there} of ${images.length} are there`, zh: `${images.length} 个中有 ${there} 个存在` },
    complaints: images.flatMap((image) => complaintOf(image, image.registry)),
  };
}

/** What mends it, by the reference of each image that is not there: nothing that pulls it would help. */
export function mendsOfMissing(facts: readonly RegistryFacts[]): Map<string, Text> {
  return new Map(
    facts.flatMap(({ registry, images }) =>
      images
        .filter(({ status }) => status === 404)
        .flatMap((image) => complaintOf(image, registry).map(({ mend }): [string, Text] => [image.reference, mend])),
    ),
  );
}

/** @param needed how many pulls the next update takes on this machine */
export function checkPulls(facts: readonly RegistryFacts[], needed: number): Look {
  const spent = facts.find(({ images }) => images.some(({ status }) => status === 429));
  if (spent !== undefined) return { fact: same('0'), complaints: [exhausted(spent, null)] };
  const counting = facts.find(({ pulls }) => pulls !== null);
  if (counting === undefined || counting.pulls === null)
    return { fact: { en: 'not counted there', zh: '该仓库不计次数' }, complaints: [] };
  const { pulls } = counting;
  const fact = {
    en: `${pulls.left} of ${pulls.of} left in ${hours(pulls)} h`,
    zh: `${hours(pulls)} 小时内还可拉取 ${pulls.left}/${pulls.of} 次`,
  };
  if (pulls.left >= needed) return { fact, complaints: [] };
  return { fact, complaints: [pulls.left === 0 ? exhausted(counting, pulls) : scarce(counting, pulls, needed)] };
}

/** Codes of the system and of TLS, and what each of them means for whoever wants an image. */
function silent(registry: string, code: string | null, words: string): Complaint {
  const why: Text = {
    en: 'no image can be pulled that is not here already: no update, no new worker',
    zh: '本机没有的镜像都无法拉取:不能更新,也不能添加 worker',
  };
  const told = words === '' ? '' : ` (${words})`;
  const complaint = (name: string, seen: Text, mend: Text): Complaint => ({
    code: `REGISTRY_${name}`,
    grave: true,
    seen: { en: `${seen.en}${told}`, zh: `${seen.zh}${told}` },
    why,
    mend,
  });
  const host = registry.replace(/:\d+$/, '');
  const url = registry === HUB ? 'https://registry-1.docker.io/v2/' : `https://${registry}/v2/`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return complaint(
      'UNRESOLVED',
      { en: `no name server knows ${host}`, zh: `域名服务器无法解析 ${host}` },
      { en: `getent hosts ${host}; cat /etc/resolv.conf`, zh: `getent hosts ${host}; cat /etc/resolv.conf` },
    );
  }
  if (code === 'ECONNREFUSED') {
    return complaint(
      'REFUSED',
      { en: `nobody listens at ${registry}`, zh: `${registry} 没有服务在监听` },
      {
        en: `start the registry, or correct its name: curl -v ${url}`,
        zh: `请启动该镜像仓库或更正其地址:curl -v ${url}`,
      },
    );
  }
  if (code !== null && isTlsCode(code)) {
    return complaint(
      'CERTIFICATE',
      { en: `the certificate of ${registry} is not believed: ${code}`, zh: `${registry} 的证书不受信任:${code}` },
      {
        en: `put its authority into /etc/docker/certs.d/${registry}/ca.crt on every host`,
        zh: `把其 CA 证书放到每台主机的 /etc/docker/certs.d/${registry}/ca.crt`,
      },
    );
  }
  return complaint(
    'SILENT',
    {
      en: `${registry} does not answer${code === null ? '' : `: ${code}`}`,
      zh: `${registry} 没有应答${code === null ? '' : `:${code}`}`,
    },
    {
      en: `check network, proxy and firewall: curl -v ${url}`,
      zh: `请检查网络、代理和防火墙:curl -v ${url}`,
    },
  );
}

/** Node's names for what is wrong with a certificate or with the one who speaks TLS. */
export function isTlsCode(code: string): boolean {
  return /^(?:ERR_TLS|ERR_SSL|EPROTO|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY))/.test(code);
}

function locked({ registry, login }: RegistryFacts, { reference, status }: ImageAnswer): Complaint {
  const command = registry === HUB ? 'docker login' : `docker login ${registry}`;
  const hub: Text = {
    en: '; Docker Hub says so for names that do not exist, too',
    zh: ';名称不存在时 Docker Hub 也会这样回答',
  };
  const more = registry === HUB ? hub : same('');
  return {
    code: login ? 'LOGIN_REFUSED' : 'LOGIN_MISSING',
    grave: true,
    seen: login
      ? {
          en: `${registry} refuses the login that is kept here (${status}) for ${reference}${more.en}`,
          zh: `${registry} 拒绝本机保存的登录凭据(${status}):${reference}${more.zh}`,
        }
      : {
          en: `${registry} wants a login (${status}) for ${reference}, and nobody is logged in${more.en}`,
          zh: `${registry} 要求登录(${status})才能访问 ${reference},而本机未登录${more.zh}`,
        },
    why: { en: 'images of that registry cannot be pulled', zh: '无法拉取该仓库的镜像' },
    mend: {
      en: `${command}   (as the user who runs xingrin, on every host)`,
      zh: `${command}(在每台主机上以运行 xingrin 的用户执行)`,
    },
  };
}

function failing(registry: string, { reference, status }: ImageAnswer): Complaint {
  return {
    code: 'REGISTRY_FAILING',
    grave: true,
    seen: { en: `${registry} answers ${status} for ${reference}`, zh: `${registry} 对 ${reference} 返回 ${status}` },
    why: {
      en: 'the registry itself is out of order; nothing can be pulled until it is mended',
      zh: '镜像仓库自身出现故障,恢复前无法拉取镜像',
    },
    mend: { en: 'look at its log, or try later: xingrin doctor', zh: '请查看其日志,或稍后重试:xingrin doctor' },
  };
}

function complaintOf(image: ImageAnswer, registry: string): Complaint[] {
  const { reference, status, repository, digest, locked: wanted } = image;
  if (status === 404 && repository === false) {
    const name = reference.replace(/:[^:/]*$/, '');
    return [
      {
        code: 'NAME_UNKNOWN',
        grave: true,
        seen: { en: `there is no ${name} in ${registry}`, zh: `${registry} 中没有 ${name}` },
        why: {
          en: 'the name is wrong, or nothing was ever published under it: DOCKER_USER says where images are looked for',
          zh: '名称有误,或从未发布过:镜像位置由 DOCKER_USER 决定',
        },
        mend: {
          en: 'correct DOCKER_USER in docker/.env, or publish: xingrin publish',
          zh: '请更正 docker/.env 中的 DOCKER_USER,或发布:xingrin publish',
        },
      },
    ];
  }
  if (status === 404) {
    return [
      {
        code: 'TAG_MISSING',
        grave: true,
        seen: { en: `${reference} was not published, or was deleted`, zh: `${reference} 未发布或已被删除` },
        why: {
          en: 'a host that has not pulled it yet cannot run this version: no new worker, no repair',
          zh: '尚未拉取它的主机无法运行该版本:不能添加 worker,也无法修复',
        },
        mend: {
          en: `publish it: xingrin publish ${tagOf(reference)}; or go to a version that is there: xingrin update`,
          zh: `发布:xingrin publish ${tagOf(reference)};或改用已有版本:xingrin update`,
        },
      },
    ];
  }
  if (status !== 200 || wanted === null || digest === null || wanted.includes(digest)) return [];
  return [
    {
      code: 'TAG_MOVED',
      grave: true,
      seen: {
        en: `${reference} is not what was released: the release lock says ${short(wanted[0] ?? '')}, the registry ${short(digest)}`,
        zh: `${reference} 不是发布时的镜像:发布清单为 ${short(wanted[0] ?? '')},镜像仓库为 ${short(digest)}`,
      },
      why: {
        en: 'somebody moved this image tag: hosts that pull it now would run something else than the others, and are refused',
        zh: '有人移动了该镜像标签:现在拉取的主机将运行不同的内容,因此会被拒绝',
      },
      mend: {
        en: 'find out who moved it, then publish a new version: xingrin release patch --publish',
        zh: '请查明原因后发布新版本:xingrin release patch --publish',
      },
    },
  ];
}

function exhausted({ registry, login }: RegistryFacts, pulls: PullBudget | null): Complaint {
  return {
    code: 'PULLS_SPENT',
    grave: true,
    seen: { en: `${registry} gives out no more images for now`, zh: `${registry} 暂时不再提供镜像` },
    why: {
      en: 'too many pulls from this address or account: updates, new workers and repairs have to wait',
      zh: '该地址或账户的拉取次数已用尽:更新、添加 worker 和修复都需等待',
    },
    mend: relief(registry, login, pulls),
  };
}

function scarce({ registry, login }: RegistryFacts, pulls: PullBudget, needed: number): Complaint {
  return {
    code: 'PULLS_SCARCE',
    grave: false,
    seen: {
      en: `${registry} gives out ${pulls.left} more images in ${hours(pulls)} h; the next update takes ${needed}`,
      zh: `${registry} 在 ${hours(pulls)} 小时内只再提供 ${pulls.left} 个镜像,而下次更新需要 ${needed} 个`,
    },
    why: {
      en: 'an update would stop in the middle of pulling, and change nothing',
      zh: '更新会在拉取途中停下,且不做任何更改',
    },
    mend: relief(registry, login, pulls),
  };
}

function relief(registry: string, login: boolean, pulls: PullBudget | null): Text {
  const when = pulls === null ? 6 : hours(pulls);
  if (login) return { en: `wait up to ${when} h, or use a mirror`, zh: `最多等待 ${when} 小时,或改用镜像加速` };
  const command = registry === HUB ? 'docker login' : `docker login ${registry}`;
  return {
    en: `${command}   (an account has a budget of its own); or wait up to ${when} h`,
    zh: `${command}(登录账户有单独的额度);或最多等待 ${when} 小时`,
  };
}

function hours({ window }: PullBudget): number {
  return Math.round(window / 3_600);
}

function short(digest: string): string {
  return digest.slice(0, 'sha256:'.length + 12);
}
