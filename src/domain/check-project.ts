import type { Complaint, Look } from './checkup.ts';
import { same, type Text } from './text.ts';

export interface SettingsFacts {
  /** Path of docker/.env. */
  readonly path: string;
  /** Its permissions; null if there is none. */
  readonly mode: number | null;
  /** IMAGE_TAG; null if it is not set. */
  readonly imageTag: string | null;
  /** Secrets that have no value. */
  readonly emptySecrets: readonly string[];
}

/** Whether docker/.env is there, says what it has to, and is nobody else's to read. */
export function checkSettings({ path, mode, imageTag, emptySecrets }: SettingsFacts): Look {
  const fact = same('docker/.env');
  if (mode === null || imageTag === null) {
    return {
      fact,
      complaints: [
        {
          code: 'NOT_INSTALLED',
          grave: true,
          seen:
            mode === null
              ? { en: 'there is no docker/.env', zh: '没有 docker/.env' }
              : { en: 'IMAGE_TAG in docker/.env is not set', zh: 'docker/.env 中的 IMAGE_TAG 未设置' },
          why: { en: 'nothing is installed here', zh: '此处尚未安装' },
          mend: same('xingrin install'),
        },
      ],
    };
  }
  const complaints: Complaint[] = [];
  if ((mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(4, '0');
    complaints.push({
      code: 'SETTINGS_EXPOSED',
      grave: true,
      seen: { en: `docker/.env has mode ${octal}`, zh: `docker/.env 的权限为 ${octal}` },
      why: { en: 'everybody on this machine can read its passwords', zh: '本机任何用户都能读到其中的密码' },
      mend: same(`chmod 600 ${path}`),
      fix: { kind: 'protect-file', path },
    });
  }
  if (emptySecrets.length > 0) {
    const keys = emptySecrets.join(', ');
    complaints.push({
      code: 'SECRET_EMPTY',
      grave: true,
      seen: { en: `${keys} in docker/.env: no value`, zh: `docker/.env 中的 ${keys} 没有值` },
      why: { en: 'whoever reaches the port gets in', zh: '能访问端口的人都能进入' },
      mend: {
        en: `give it a value: openssl rand -hex 32; then: xingrin start`,
        zh: `请设置一个值:openssl rand -hex 32;然后:xingrin start`,
      },
    });
  }
  return { fact, complaints };
}

export interface OperationFacts {
  /** Who is at work now; null if nobody is. */
  readonly running: {
    readonly command: string;
    readonly user: string;
    readonly host: string;
    readonly since: string;
  } | null;
  /** Operations without an end: `update v1.0.0 → v1.1.0`, and when they began. */
  readonly interrupted: readonly { readonly what: string; readonly at: string }[];
}

export function checkOperations({ running, interrupted }: OperationFacts): Look {
  const none: Text = { en: 'none is interrupted', zh: '没有中断的操作' };
  if (running !== null) {
    const { command, user, host, since } = running;
    return {
      fact: same(command),
      complaints: [
        {
          code: 'OPERATION_RUNNING',
          grave: false,
          seen: {
            en: `${command} is running now, by ${user}@${host} since ${since}`,
            zh: `${command} 正在进行,执行者 ${user}@${host},开始于 ${since}`,
          },
          why: { en: 'what differs now may be of its making', zh: '现在看到的差异可能由它造成' },
          mend: { en: 'look again when it has ended: xingrin doctor', zh: '待其结束后再看:xingrin doctor' },
        },
      ],
    };
  }
  return {
    fact: interrupted.length === 0 ? none : same(String(interrupted.length)),
    complaints: interrupted.map(({ what, at }): Complaint => ({
      code: 'OPERATION_INTERRUPTED',
      grave: true,
      seen: { en: `${what} of ${at} was interrupted`, zh: `${at} 的 ${what} 被中断` },
      why: { en: 'the stack may be between two versions', zh: '服务可能介于两个版本之间' },
      mend: same('xingrin recover'),
      fix: { kind: 'recover' },
    })),
  };
}

export interface CertificateFacts {
  /** `half`: a chain without its key, or a key without its chain. */
  readonly state: 'good' | 'missing' | 'expiring' | 'half';
  readonly folder: string;
  /** When it ends to be valid; null where nothing readable is served. */
  readonly end: Date | null;
  /** The name that people type, and whether it stands in the certificate; null if there is none. */
  readonly name: { readonly host: string; readonly covered: boolean } | null;
  /** Services that serve it. */
  readonly services: readonly string[];
  /** It was made here, so that it can be made again. */
  readonly ours: boolean;
}

const DAY = 24 * 60 * 60 * 1000;
const SOON = 30;

export function checkCertificate(facts: CertificateFacts, now: Date): Look {
  const { state, folder, end, name, services, ours } = facts;
  const fix = { kind: 'renew-certificate', folder, services } as const;
  const own: Text = {
    en: `put a new one into ${folder}, then: docker compose restart ${services.join(' ')}`,
    zh: `请将新证书放入 ${folder},然后执行:docker compose restart ${services.join(' ')}`,
  };
  const mended = ours ? { mend: same('xingrin doctor --fix'), fix } : { mend: own };
  if (state === 'half') {
    return {
      fact: same('-'),
      complaints: [
        {
          code: 'CERTIFICATE_HALF',
          grave: true,
          seen: { en: `${folder} holds a certificate or a key, not both`, zh: `${folder} 中只有证书或只有密钥` },
          why: { en: 'the front door does not start with it', zh: '入口服务无法以此启动' },
          mend: {
            en: 'put the other one beside it, or move it away and: xingrin doctor --fix',
            zh: '请补上另一个文件,或移走现有文件后执行:xingrin doctor --fix',
          },
        },
      ],
    };
  }
  if (state === 'missing' || end === null) {
    return {
      fact: same('-'),
      complaints: [
        {
          code: 'CERTIFICATE_MISSING',
          grave: true,
          seen: { en: `there is no certificate that can be read in ${folder}`, zh: `${folder} 中没有可读的证书` },
          why: { en: 'the front door does not start without one', zh: '没有证书,入口服务无法启动' },
          mend: state === 'missing' ? same('xingrin doctor --fix') : own,
          ...(state === 'missing' ? { fix } : {}),
        },
      ],
    };
  }
  const day = end.toISOString().slice(0, 10);
  const days = Math.floor((end.getTime() - now.getTime()) / DAY);
  const fact = { en: `valid until ${day}`, zh: `有效期至 ${day}` };
  const complaints: Complaint[] = [];
  if (days < SOON) {
    complaints.push({
      code: days < 0 ? 'CERTIFICATE_EXPIRED' : 'CERTIFICATE_EXPIRES',
      grave: days < 0,
      seen:
        days < 0
          ? { en: `the certificate ended on ${day}`, zh: `证书已于 ${day} 到期` }
          : { en: `the certificate ends in ${days} days, on ${day}`, zh: `证书将在 ${days} 天后(${day})到期` },
      why: {
        en: 'browsers refuse the front door then, and no agent gets through',
        zh: '届时浏览器会拒绝访问,agent 也无法连接',
      },
      ...mended,
    });
  }
  if (name !== null && !name.covered) {
    complaints.push({
      code: 'CERTIFICATE_NAME',
      grave: true,
      seen: { en: `the certificate is not for ${name.host}`, zh: `证书不包含 ${name.host}` },
      why: {
        en: 'PUBLIC_HOST in docker/.env says that people and agents come by that name, and they are right not to believe it',
        zh: 'docker/.env 中的 PUBLIC_HOST 表明用户与 agent 以该名称访问,它们会拒绝此证书',
      },
      ...mended,
    });
  }
  return { fact, complaints };
}

export interface GitFacts {
  /** `absent`: no checkout, or no git. `unnamed`: no such remote. */
  readonly remote: 'absent' | 'unnamed' | 'silent' | 'answers';
  readonly name: string;
  readonly words: string;
  /** Tracked files that were changed here. */
  readonly changed: readonly string[];
}

export function checkGit({ remote, name, words, changed }: GitFacts): Look {
  const why: Text = { en: 'no update can find new versions', zh: '更新无法发现新版本' };
  const complaints: Complaint[] = [];
  if (remote === 'absent') {
    complaints.push({
      code: 'GIT_ABSENT',
      grave: false,
      seen: { en: 'this is no git checkout, or git is not installed', zh: '不是 git 检出目录,或未安装 git' },
      why,
      mend: {
        en: 'apt-get install git; or work in a checkout: git clone …',
        zh: 'apt-get install git;或改用检出目录:git clone …',
      },
    });
  }
  if (remote === 'unnamed') {
    complaints.push({
      code: 'GIT_NO_REMOTE',
      grave: false,
      seen: { en: `there is no git remote "${name}"`, zh: `没有 git 远端 "${name}"` },
      why,
      mend: same(`git remote add ${name} URL`),
    });
  }
  if (remote === 'silent') {
    complaints.push({
      code: 'GIT_SILENT',
      grave: false,
      seen: { en: `the git remote "${name}" does not answer: ${words}`, zh: `git 远端 "${name}" 没有应答:${words}` },
      why,
      mend: same(`git ls-remote ${name}`),
    });
  }
  if (changed.length > 0) {
    const shown = `${changed.slice(0, 3).join(', ')}${changed.length > 3 ? ', …' : ''}`;
    complaints.push({
      code: 'GIT_DIRTY',
      grave: false,
      seen: { en: `changed here: ${shown}`, zh: `本地有改动:${shown}` },
      why: { en: 'update and rollback refuse to move changed files', zh: '有改动的文件会使更新与回退被拒绝' },
      mend: same('git stash'),
    });
  }
  const fact: Text =
    remote === 'answers' ? { en: `${name} answers`, zh: `${name} 应答正常` } : { en: 'no remote', zh: '无远端' };
  return { fact, complaints };
}
