import type { Text } from '../domain/text.ts';
import type { Builds } from '../observe/development.ts';
import type { HostPart } from '../effects/host-packages.ts';
import type { Version } from '../domain/version.ts';
import { MAIN_HOST, type Json, type Step } from './plan.ts';

const PULL_WAVE: Text = { en: 'pull images', zh: '拉取镜像' };

/** Its packages stay, whatever comes after. */
export function installParts(parts: readonly { readonly part: HostPart; readonly name: Text }[]): Step {
  const [en, zh] = [parts.map(({ name }) => name.en).join(', '), parts.map(({ name }) => name.zh).join('、')];
  const title = { en: `install ${en} from the system's packages`, zh: `从系统软件源安装 ${zh}` };
  return step('install-parts', title, { parts: parts.map(({ part }) => part) });
}

export function pullImage(reference: string, digest: string | null): Step {
  const title = { en: `pull ${reference}`, zh: `拉取 ${reference}` };
  return step('pull-image', title, { reference, digest }, { wave: PULL_WAVE });
}

export function verifyImages(images: readonly { readonly reference: string; readonly digest: string | null }[]): Step {
  const title = {
    en: `verify ${images.length} images against the release lock`,
    zh: `按发布清单核对 ${images.length} 个镜像`,
  };
  return step('verify-images', title, { images: images.map(({ reference, digest }) => ({ reference, digest })) });
}

/** Comes before everything that touches the stack: its undo, the last of all, brings the services back. */
export function holdStack(projectName: string): Step {
  const title = { en: 'remember the stack as it is', zh: '记录当前状态以便回退' };
  const undone = { en: 'the stack runs as before', zh: '服务已恢复原状' };
  return step('hold-stack', title, { projectName }, { undone });
}

export function checkOut(commit: string): Step {
  const short = commit.slice(0, 10);
  const undone = { en: 'the files are as before', zh: '项目文件已恢复原状' };
  return step(
    'checkout',
    { en: `bring the files to ${short}`, zh: `把项目文件切换到 ${short}` },
    { commit },
    { undone },
  );
}

/** What docker/.env shall say. `learns`: keys that .env.example brought are added. */
export interface EnvWish {
  readonly version: Version;
  readonly development: boolean;
  readonly learns: boolean;
}

export function createEnv(wish: EnvWish): Step {
  const undone = { en: 'docker/.env is kept, for its secrets', zh: '保留 docker/.env 及其中的密钥' };
  return step(
    'write-env',
    { en: 'create docker/.env with new secrets', zh: '创建 docker/.env 并生成密钥' },
    { ...wish },
    { undone },
  );
}

/** @param executor the new TASK_EXECUTOR_IMAGE; null if it stays */
export function writeEnv(wish: EnvWish, added: readonly string[], executor: string | null): Step {
  const keys = added.map((key) => `, +${key}`).join('');
  const task = executor === null ? '' : ` TASK_EXECUTOR_IMAGE=${executor}`;
  const title = {
    en: `set IMAGE_TAG=${wish.version}${task} in docker/.env${keys}`,
    zh: `在 docker/.env 中设置 IMAGE_TAG=${wish.version}${task}${keys}`,
  };
  const undone = { en: 'docker/.env is as before', zh: 'docker/.env 已恢复原状' };
  return step('write-env', title, { ...wish }, { undone });
}

/** Development mode: nothing is pulled that can be built here. */
export function buildImages(version: Version, builds: Builds): Step {
  const names = builds.references.join(', ');
  const title = { en: `build ${names} here`, zh: `在本机构建 ${builds.references.join('、')}` };
  const undone = { en: 'the image names mean what they meant before', zh: '镜像名称已恢复原来的含义' };
  const { services, references, worker } = builds;
  return step(
    'build-images',
    title,
    { version, builds: { services, references, worker: worker === null ? null : { ...worker } } },
    { undone },
  );
}

/** What only the mode that is left has. The undo of holding the stack brings it back. */
export function removeServices(projectName: string, services: readonly string[]): Step {
  const title = { en: `remove ${services.join(', ')}`, zh: `移除 ${services.join('、')}` };
  return step('remove-services', title, { projectName, services });
}

/** What `status` and `doctor` do not miss from now on, and no update brings. */
export function leaveOut(services: readonly string[]): Step {
  const title =
    services.length === 0
      ? { en: 'leave nothing out any more', zh: '不再略去任何服务' }
      : { en: `leave out ${services.join(', ')}`, zh: `略去 ${services.join('、')}` };
  const undone = { en: 'what is left out is as before', zh: '略去的服务已恢复原状' };
  return step('leave-out', title, { services }, { undone });
}

export function makeCertificate(folder: string): Step {
  return step('certificate', { en: 'make a TLS certificate', zh: '生成 TLS 证书' }, { folder });
}

/**
 * One step a service, side by side.
 *
 * @param running the services that run now: the others are started
 */
export function switchServices(services: readonly string[], version: string, running: readonly string[]): Step[] {
  const anew = !services.some((service) => running.includes(service));
  const wave = {
    en: `${anew ? 'start' : 'switch'} ${services.join(', ')} side by side`,
    zh: `同时${anew ? '启动' : '切换'} ${services.join('、')}`,
  };
  return services.map((service) => {
    const title = running.includes(service)
      ? { en: `switch ${service} to ${version}`, zh: `切换 ${service} 到 ${version}` }
      : { en: `start ${service}`, zh: `启动 ${service}` };
    return step('switch-service', title, { service }, services.length > 1 ? { wave } : {});
  });
}

export function checkHealth(services: readonly string[]): Step {
  return step('check-health', { en: 'check the health of every service', zh: '检查所有服务的健康状态' }, { services });
}

export function initializeData(): Step {
  return step('initialize-data', { en: 'initialize data', zh: '初始化数据' }, {});
}

export function recordDeployment(command: string, version: Version, commit: string | null): Step {
  const title = { en: `record ${version} in the history`, zh: `把 ${version} 记入部署历史` };
  return step('record-deployment', title, { command, version, commit });
}

export function stopStack(services: readonly string[]): Step {
  return step('stop-stack', { en: `stop ${services.join(', ')}`, zh: `停止 ${services.join('、')}` }, {});
}

export function restartStack(services: readonly string[]): Step {
  return step('restart-stack', { en: `restart ${services.join(', ')}`, zh: `重启 ${services.join('、')}` }, {});
}

/** @param volumes also delete the data */
export function removeStack(projectName: string, volumes: boolean): Step {
  const title = volumes
    ? {
        en: `remove ${projectName}: its containers, network and DATA VOLUMES`,
        zh: `删除 ${projectName} 的容器、网络和数据卷`,
      }
    : {
        en: `remove ${projectName}: its containers and network; data stays`,
        zh: `删除 ${projectName} 的容器和网络,保留数据`,
      };
  return step('remove-stack', title, { volumes });
}

function step(
  kind: string,
  title: Text,
  params: { readonly [key: string]: Json },
  more: Pick<Step, 'wave' | 'undone'> = {},
): Step {
  return { kind, title, host: MAIN_HOST, params, ...more };
}
