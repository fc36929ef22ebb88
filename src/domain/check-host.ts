import type { Complaint, Look } from './checkup.ts';
import type { UserError } from './errors.ts';
import { bytesText } from './bytes.ts';
import { tagOf } from './image.ts';
import { same, type Text } from './text.ts';

/** An image that a host should have. */
export interface WantedImage {
  readonly reference: string;
  /** Of the release lock, any of which will do; null for what is in none. */
  readonly locked: readonly string[] | null;
}

/** The agent's container on a worker. */
export interface AgentFacts {
  readonly image: string;
  /** Docker's words. */
  readonly state: string;
  readonly health: string | null;
}

/** What a host says of itself. */
export interface HostFacts {
  /** Seconds that its clock is ahead of ours, and how far that may be off; null if it does not say. */
  readonly clock: { readonly ahead: number; readonly give: number } | null;
  /** `denied`: the user may not use it. `silent`: it is there and does not answer. */
  readonly docker: 'absent' | 'denied' | 'silent' | 'answers';
  readonly engine: string | null;
  readonly compose: string | null;
  /** Where the engine looks for images of Docker Hub first. */
  readonly mirrors: readonly string[];
  /** Registries, and networks of registries, that need not show a certificate. */
  readonly insecure: { readonly names: readonly string[]; readonly networks: readonly string[] };
  /** Bytes, and files that may still be made, where the engine keeps its images. */
  readonly disk: { readonly total: number; readonly free: number; readonly files: number | null } | null;
  readonly agent: AgentFacts | null;
  /** By reference: the image here, or null. */
  readonly images: Readonly<Record<string, LocalFacts | null>>;
  /** Names of all images. */
  readonly names: readonly string[];
}

export interface LocalFacts {
  readonly id: string;
  /** `repository@sha256:…` */
  readonly digests: readonly string[];
  /** Bytes. */
  readonly size: number;
}

/** The engine that Compose v2 asks for. */
const OLDEST_ENGINE = [20, 10] as const;
/** Seconds: more than that and times of logs and heartbeats mislead; more than the second and certificates fail. */
const CLOCK_CAUTION = 30;
const CLOCK_BAD = 300;
const GIGABYTE = 1_000_000_000;
/** What an engine needs beside the images. */
const ROOM = 200_000_000;
const FEW_FILES = 10_000;

/** A host that we did not get into. */
export function refusedLogin(error: UserError): Look {
  const { code, text, details } = error;
  return {
    fact: same(code),
    complaints: [
      {
        code: `HOST_${code}`,
        grave: true,
        seen: text,
        why: {
          en: 'tasks sent there fail, and updates pass it by',
          zh: '发往该主机的任务会失败,更新也会绕过它',
        },
        mend: details.hint ?? same('xingrin worker list'),
      },
    ],
  };
}

/** @param worker its name; null for the main server */
export function checkEngine({ docker, engine, compose }: HostFacts, worker: string | null): Look {
  const fact = same([engine ?? '-', ...(worker === null ? [`Compose ${compose ?? '-'}`] : [])].join(', '));
  const why: Text =
    worker === null
      ? { en: 'nothing can be started, stopped or updated', zh: '无法启动、停止或更新' }
      : { en: 'no task can run there', zh: '该主机无法运行任务' };
  const complaint = (code: string, seen: Text, mend: string): Look => ({
    fact,
    complaints: [{ code, grave: true, seen, why, mend: same(mend) }],
  });
  const over = (command: string): string =>
    worker === null ? `sudo ${command}` : `xingrin worker exec ${worker} -- ${command}`;
  if (docker === 'absent') {
    const seen = { en: 'docker is not installed', zh: '未安装 docker' };
    return complaint('ENGINE_ABSENT', seen, worker === null ? 'xingrin install' : over('apt-get install -y docker.io'));
  }
  if (docker === 'denied') {
    const seen = { en: 'no permission to use Docker', zh: '没有使用 Docker 的权限' };
    return complaint('ENGINE_DENIED', seen, over('usermod -aG docker USER'));
  }
  if (docker === 'silent') {
    const seen = { en: 'the Docker daemon does not answer', zh: 'Docker 守护进程没有响应' };
    return complaint('ENGINE_DOWN', seen, over('systemctl restart docker'));
  }
  const complaints: Complaint[] = [];
  if (isOlder(engine, OLDEST_ENGINE)) {
    complaints.push({
      code: 'ENGINE_OLD',
      grave: false,
      seen: { en: `Docker ${engine} is older than 20.10`, zh: `Docker ${engine} 早于 20.10` },
      why: { en: 'Compose v2 and the agent were never tried with it', zh: 'Compose v2 与 agent 未在该版本上验证' },
      mend: same(over('apt-get install -y docker.io')),
    });
  }
  if (worker === null && isOlder(compose, [2, 0])) {
    complaints.push({
      code: compose === null ? 'COMPOSE_ABSENT' : 'COMPOSE_OLD',
      grave: true,
      seen:
        compose === null
          ? { en: 'Docker Compose is not installed', zh: '未安装 Docker Compose' }
          : { en: `Docker Compose ${compose} is older than v2`, zh: `Docker Compose ${compose} 早于 v2` },
      why,
      mend: same('xingrin install'),
    });
  }
  return { fact, complaints };
}

/** Whether a host has the image that its tasks run. */
export function checkImage({ images, names }: HostFacts, wanted: WantedImage): Look {
  const here = images[wanted.reference] ?? null;
  const name = wanted.reference.replace(/:[^:/]*$/, '');
  const tag = tagOf(wanted.reference);
  const others = names.filter((each) => each.startsWith(`${name}:`)).map(tagOf);
  const digest = wanted.locked?.[0] ?? null;
  const fix = { kind: 'fetch-image', reference: wanted.reference, digest } as const;
  if (here === null) {
    const has = others.length === 0 ? null : others.join(', ');
    return {
      fact: same(has ?? '-'),
      complaints: [
        {
          code: 'WORKER_IMAGE_MISSING',
          grave: true,
          seen: {
            en: `${wanted.reference} is not here${has === null ? '' : `; what is here: ${has}`}`,
            zh: `没有镜像 ${wanted.reference}${has === null ? '' : `,现有:${has}`}`,
          },
          why: {
            en: 'the next task has to pull it first, and fails if it cannot: the usual reason why tasks fail after an update',
            zh: '下一个任务须先拉取它,拉取失败则任务失败:这是更新后任务失败的常见原因',
          },
          mend: same('xingrin doctor --fix'),
          fix,
        },
      ],
    };
  }
  const digests = here.digests.map((each) => each.slice(each.indexOf('@') + 1));
  if (wanted.locked === null || digests.some((each) => wanted.locked?.includes(each))) return good(tag);
  return {
    fact: same(tag),
    complaints: [
      {
        code: 'WORKER_IMAGE_DIFFERS',
        grave: true,
        seen: {
          en: `${wanted.reference} here is not the image that was released`,
          zh: `这里的 ${wanted.reference} 不是发布时的镜像`,
        },
        why: {
          en: 'tasks on this host run something else than on the others, under the same name',
          zh: '该主机的任务以同样的名称运行着与其他主机不同的内容',
        },
        mend: same('xingrin doctor --fix'),
        fix,
      },
    ],
  };
}

/** Whether a worker's agent is of the version in force, and runs. */
export function checkAgent({ agent }: HostFacts, worker: string, imageTag: string): Look {
  const update = same(`xingrin worker update ${worker}`);
  const unseen: Text = {
    en: 'the server does not see this worker: no task is sent there',
    zh: '服务器看不到该 worker:不会向它发送任务',
  };
  if (agent === null) {
    const seen = { en: 'there is no agent', zh: '没有 agent' };
    return { fact: same('-'), complaints: [{ code: 'AGENT_ABSENT', grave: true, seen, why: unseen, mend: update }] };
  }
  const version = tagOf(agent.image);
  const complaints: Complaint[] = [];
  if (version !== imageTag) {
    complaints.push({
      code: 'AGENT_VERSION',
      grave: true,
      seen: {
        en: `the agent runs ${version}, the server ${imageTag}`,
        zh: `agent 运行的是 ${version},服务器为 ${imageTag}`,
      },
      why: {
        en: 'this worker was left behind by an update: its tasks run what the server no longer expects',
        zh: '该 worker 在更新中掉队:其任务运行的内容与服务器不符',
      },
      mend: update,
    });
  }
  if (agent.state !== 'running') {
    complaints.push({
      code: 'AGENT_DOWN',
      grave: true,
      seen: { en: `the agent is ${agent.state}`, zh: `agent 状态为 ${agent.state}` },
      why: unseen,
      mend: same('xingrin doctor --fix'),
      fix: { kind: 'start-agent' },
    });
  } else if (agent.health === 'unhealthy') {
    complaints.push({
      code: 'AGENT_UNHEALTHY',
      grave: true,
      seen: { en: 'the agent runs, but the server does not hear it', zh: 'agent 在运行,但服务器没有收到其心跳' },
      why: unseen,
      mend: same(`xingrin worker logs ${worker}`),
    });
  }
  return { fact: same(version), complaints };
}

/** @param needed bytes that the images of one more version take */
export function checkDisk({ disk }: HostFacts, needed: number): Look {
  if (disk === null) return { fact: same('-'), complaints: [] };
  const fact = { en: `${bytesText(disk.free)} free`, zh: `剩余 ${bytesText(disk.free)}` };
  const prune: Text = { en: 'xingrin prune, then: docker system df', zh: 'xingrin prune,然后:docker system df' };
  if (disk.files !== null && disk.files < FEW_FILES) {
    return {
      fact,
      complaints: [
        {
          code: 'INODES_LOW',
          grave: true,
          seen: {
            en: `only ${disk.files} more files fit where Docker keeps its images`,
            zh: `Docker 存放镜像的磁盘只能再建 ${disk.files} 个文件`,
          },
          why: {
            en: 'a pull ends with "no space left", although there are bytes',
            zh: '虽有空间,拉取镜像仍会因无法建立文件而失败',
          },
          mend: prune,
        },
      ],
    };
  }
  const full = disk.free < needed + ROOM;
  if (!full && disk.free >= 3 * needed + GIGABYTE) return { fact, complaints: [] };
  return {
    fact,
    complaints: [
      {
        code: full ? 'DISK_FULL' : 'DISK_LOW',
        grave: full,
        seen: {
          en: `${bytesText(disk.free)} free of ${bytesText(disk.total)} where Docker keeps its images`,
          zh: `Docker 存放镜像的磁盘共 ${bytesText(disk.total)},剩余 ${bytesText(disk.free)}`,
        },
        why: full
          ? {
              en: 'the images of one more version do not fit: an update ends while it pulls',
              zh: '放不下新版本的镜像:更新会在拉取时失败',
            }
          : { en: 'it will be full before long, and then nothing can be pulled', zh: '不久便会写满,届时无法拉取镜像' },
        mend: prune,
      },
    ],
  };
}

/** @param of whom the clock was compared with */
export function checkClock({ clock }: Pick<HostFacts, 'clock'>, of: Text, worker: string | null): Look {
  if (clock === null) return { fact: same('-'), complaints: [] };
  const off = Math.max(0, Math.abs(clock.ahead) - clock.give);
  const seconds = Math.round(off);
  const fact = { en: `${seconds} s off`, zh: `相差 ${seconds} 秒` };
  if (off < CLOCK_CAUTION) return { fact, complaints: [] };
  const way = clock.ahead > 0 ? { en: 'ahead of', zh: '快' } : { en: 'behind', zh: '慢' };
  const set = 'timedatectl set-ntp true';
  return {
    fact,
    complaints: [
      {
        code: 'CLOCK_OFF',
        grave: off >= CLOCK_BAD,
        seen: {
          en: `its clock is ${seconds} s ${way.en} ${of.en}`,
          zh: `时钟比${of.zh}${way.zh} ${seconds} 秒`,
        },
        why: {
          en: 'certificates and logins to registries fail, logs and tasks show wrong times',
          zh: '证书验证与镜像仓库登录会失败,日志与任务时间错误',
        },
        mend: same(worker === null ? `sudo ${set}` : `xingrin worker exec ${worker} -- ${set}`),
      },
    ],
  };
}

function good(fact: string): Look {
  return { fact: same(fact), complaints: [] };
}

/** Whether `found` begins with a lower version than wanted; what says no version is. */
function isOlder(found: string | null, [major, minor]: readonly [number, number]): boolean {
  const [, ownMajor, ownMinor] = /(\d+)\.(\d+)/.exec(found ?? '') ?? [];
  if (ownMajor === undefined) return true;
  return Number(ownMajor) < major || (Number(ownMajor) === major && Number(ownMinor) < minor);
}
