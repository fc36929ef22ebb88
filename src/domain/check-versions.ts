import type { Complaint, Look } from './checkup.ts';
import { apart, splitReference } from './image.ts';
import { same, type Text } from './text.ts';

/** A service of the stack: what it should run and what it does run. */
export interface ServiceFacts {
  readonly service: string;
  /** The reference that the Compose file names now. */
  readonly wanted: string | null;
  /** Id of that image here; null if it is not here. */
  readonly wantedId: string | null;
  /** Null where it has no container. */
  readonly container: {
    readonly image: string;
    readonly imageId: string;
    /** Docker's words. */
    readonly state: string;
    readonly health: string | null;
  } | null;
}

/** Compares what VERSION and IMAGE_TAG ask for. */
export function checkVersions(version: string | null, imageTag: string, deployed: boolean): Look {
  const fact = {
    en: `VERSION ${version ?? 'none'}, IMAGE_TAG ${imageTag}`,
    zh: `VERSION ${version ?? '无'},IMAGE_TAG ${imageTag}`,
  };
  if (version === imageTag) return { fact: same(imageTag), complaints: [] };
  if (version === null)
    return {
      fact,
      complaints: [
        {
          code: 'VERSION_MISSING',
          grave: false,
          seen: { en: 'there is no VERSION file', zh: '没有 VERSION 文件' },
          why: {
            en: 'nobody can tell which release these files belong to',
            zh: '无法得知这些文件属于哪个发布版本',
          },
          mend: same('git checkout -- VERSION'),
        },
      ],
    };
  return {
    fact,
    complaints: [
      {
        code: 'VERSIONS_DIFFER',
        grave: true,
        seen: {
          en: `VERSION says ${version}, IMAGE_TAG in docker/.env says ${imageTag}`,
          zh: `VERSION 为 ${version},而 docker/.env 中的 IMAGE_TAG 为 ${imageTag}`,
        },
        why: {
          en: 'the Compose file and the images that it starts are of two versions',
          zh: 'Compose 文件与它启动的镜像分属两个版本',
        },
        mend: same(deployed ? 'xingrin update' : 'xingrin install'),
      },
    ],
  };
}

/**
 * Compares what the services of the stack should run with what they do run.
 *
 * @param version what VERSION says; where that is not IMAGE_TAG, starting would not mend it
 * @param leftOut services that were left out on purpose
 */
export function checkServices(
  all: readonly ServiceFacts[],
  { imageTag, version, leftOut }: { imageTag: string; version: string | null; leftOut: readonly string[] },
): Look {
  const services = all.filter(({ service, container }) => container !== null || !leftOut.includes(service));
  const running = services.filter(({ container }) => container?.state === 'running').length;
  const without = all.filter((each) => !services.includes(each)).map(({ service }) => service);
  const fact = {
    en: `${running} of ${services.length} run${without.length === 0 ? '' : `; left out: ${without.join(', ')}`}`,
    zh: `${services.length} 个中有 ${running} 个在运行${without.length === 0 ? '' : `;已略去 ${without.join('、')}`}`,
  };
  const mend = version === null || version === imageTag ? 'xingrin start' : 'xingrin update';
  if (services.every(({ container }) => container === null)) {
    return {
      fact,
      complaints: [
        {
          code: 'STACK_DOWN',
          grave: true,
          seen: { en: 'nothing runs', zh: '没有任何服务在运行' },
          why: { en: 'nobody can log in, workers find no server', zh: '无法登录,worker 也找不到服务器' },
          mend: same('xingrin start'),
        },
      ],
    };
  }
  return { fact, complaints: services.flatMap((each) => complaintOf(each, imageTag, mend)) };
}

function complaintOf(
  { service, wanted, wantedId, container }: ServiceFacts,
  imageTag: string,
  mend: string,
): Complaint[] {
  if (container === null || container.state !== 'running') {
    const state = container?.state ?? null;
    return [
      {
        code: 'SERVICE_DOWN',
        grave: true,
        seen: {
          en: state === null ? `${service} does not run` : `${service} is ${state}`,
          zh: state === null ? `${service} 未运行` : `${service} 状态为 ${state}`,
        },
        why: { en: 'the stack is not whole', zh: '服务不完整' },
        mend: same(state === null ? 'xingrin start' : `xingrin logs ${service}`),
      },
    ];
  }
  if (wanted !== null && container.image !== wanted) {
    const [runs, should] = apart(container.image, wanted);
    return [
      {
        code: 'SERVICE_VERSION',
        grave: true,
        seen: {
          en: `${service} runs ${runs}, not ${should}`,
          zh: `${service} 运行的是 ${runs},而不是 ${should}`,
        },
        why: mixed(imageTag),
        mend: same(mend),
      },
    ];
  }
  if (wantedId !== null && container.imageId !== wantedId) {
    return [
      {
        code: 'SERVICE_IMAGE',
        grave: true,
        seen: {
          en: `${service} runs an image that ${container.image} does not mean any more`,
          zh: `${service} 运行的镜像已不是 ${container.image} 当前所指`,
        },
        why: mixed(imageTag),
        mend: same('xingrin start'),
      },
    ];
  }
  if (container.health === null || container.health === 'healthy') return [];
  return [
    {
      code: 'SERVICE_UNHEALTHY',
      grave: container.health === 'unhealthy',
      seen: { en: `${service} is ${container.health}`, zh: `${service} 健康状态为 ${container.health}` },
      why: { en: 'it runs, but does not do its work', zh: '它在运行,但没有正常工作' },
      mend: same(`xingrin logs ${service}`),
    },
  ];
}

/** What tasks run, beside what everything else runs. */
export interface ExecutorFacts {
  /** TASK_EXECUTOR_IMAGE as it stands in docker/.env; empty if it follows IMAGE_TAG. */
  readonly own: string;
  /** What it is if nobody says otherwise. */
  readonly usual: string;
  readonly imageTag: string;
  /** The stack that runs was built here. */
  readonly development: boolean;
}

/** Whether tasks run the version that the stack runs. */
export function checkExecutor({ own, usual, imageTag, development }: ExecutorFacts): Look {
  const fact = same(own === '' ? usual : own);
  if (own === '' || own === usual) return { fact, complaints: [] };
  const isLocalBuild = own.endsWith('-dev');
  if (isLocalBuild) {
    if (development) return { fact, complaints: [] };
    return {
      fact,
      complaints: [
        {
          code: 'DEVELOPMENT_LEFT',
          grave: true,
          seen: {
            en: `tasks run ${own}, left by development mode, while the stack runs ${imageTag}`,
            zh: `任务运行的是开发模式留下的 ${own},而服务运行的是 ${imageTag}`,
          },
          why: {
            en: 'no other host has that image, so that tasks fail there; here they are of another version than the server',
            zh: '其他主机上没有该镜像,发往那里的任务会失败;本机任务则与服务器版本不一致',
          },
          mend: same('xingrin dev down'),
        },
      ],
    };
  }
  const of = matrixTag(own, usual);
  if (of === null || of === imageTag) return { fact, complaints: [] };
  return {
    fact,
    complaints: [
      {
        code: 'TASKS_VERSION',
        grave: true,
        seen: {
          en: `tasks run ${own}, everything else runs ${imageTag}`,
          zh: `任务运行的是 ${own},其余均为 ${imageTag}`,
        },
        why: {
          en: 'TASK_EXECUTOR_IMAGE in docker/.env is set: tasks stay on that version with every update, and fail once the server has changed',
          zh: 'docker/.env 中设置了 TASK_EXECUTOR_IMAGE:每次更新后任务仍停留在该版本,服务器变化后便会失败',
        },
        mend: {
          en: 'empty it: TASK_EXECUTOR_IMAGE= in docker/.env, then: xingrin start',
          zh: '在 docker/.env 中将其清空(TASK_EXECUTOR_IMAGE=),然后执行:xingrin start',
        },
      },
    ],
  };
}

/** The image tag of an image that is the usual one but for its tag; null for something else altogether. */
function matrixTag(image: string, usual: string): string | null {
  const [one, other] = [splitReference(image), splitReference(usual)];
  return one.registry === other.registry && one.path === other.path ? one.tag : null;
}

function mixed(imageTag: string): Text {
  return {
    en: `a stack of mixed versions: its parts speak to each other as ${imageTag} does not foresee, tasks fail`,
    zh: `服务版本混杂:各部分之间的通信不符合 ${imageTag} 的约定,任务会失败`,
  };
}
