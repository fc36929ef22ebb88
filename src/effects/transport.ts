import { addressOf, type Endpoint } from '../domain/inventory.ts';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';

/** A host to connect to: by name for people, by the servers on the way there for us. */
export interface Host extends Endpoint {
  readonly name: string;
  readonly jumps: readonly Endpoint[];
}

/** The two that a program writes to. */
export type Stream = 'stdout' | 'stderr';

export interface ExecOptions {
  readonly input?: string;
  /** Leaves the input open behind that until the program ends. */
  readonly holdInput?: boolean;
  /** Called for each line of either stream as it comes. */
  readonly onLine?: (line: string) => void;
  /** Takes both streams as they come, byte for byte; the result's texts stay empty then. */
  readonly onOutput?: (chunk: Uint8Array, stream: Stream) => void;
  /** Milliseconds; every command has a limit. */
  readonly timeout: number;
  /** Ends the command over there when it fires. */
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  /** As the command ended; 128 + n after a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A connection to one host, logged in. */
export interface Connection {
  /**
   * Runs a program there and waits for its end.
   *
   * @param argv program and arguments, each as it is
   * @throws UNREACHABLE if the connection breaks, TIMEOUT after the time limit, INTERRUPTED when the signal fires; never for what
   *   the program does
   */
  exec(argv: readonly string[], options: ExecOptions): Promise<ExecResult>;
  close(): Promise<void>;
}

/**
 * The way to other hosts. Connections are kept: asking for the same host again gives the one that is open.
 */
export interface Transport {
  /**
   * @throws UNREACHABLE, AUTHENTICATION or HOST_KEY (exit 4), naming the host; before a host key has been verified nothing is sent
   */
  connect(host: Host): Promise<Connection>;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Milliseconds from the first packet to being logged in. */
export const CONNECT_LIMIT = 10_000;
/** A silent connection is asked for a sign of life this often (milliseconds), and given up after so many without one. */
export const KEEPALIVE_INTERVAL = 2_000;
export const KEEPALIVE_COUNT = 3;

/** Why a host cannot be reached: the system's own code, or what we saw. */
export function unreachable(host: Host, reason: string, evidence?: string): UserError {
  const where = addressOf(host);
  const { said, hint } = REASONS[reason] ?? {
    said: { en: `no SSH connection (${reason})`, zh: `无法建立 SSH 连接(${reason})` },
    hint: CHECK,
  };
  return new UserError(
    'UNREACHABLE',
    { en: `${where} cannot be reached: ${said.en}`, zh: `无法连接 ${where}:${said.zh}` },
    {
      host: host.name,
      hint: {
        en: hint.en.replaceAll('DESTINATION', sshWords(host)),
        zh: hint.zh.replaceAll('DESTINATION', sshWords(host)),
      },
      ...(evidence === undefined ? {} : { evidence }),
    },
  );
}

const CHECK: Text = {
  en: 'check that the machine is on and its address right; to see more: ssh -v DESTINATION',
  zh: '请检查该主机是否开机、地址是否正确;更多信息:ssh -v DESTINATION',
};
const NAME: Text = {
  en: 'check the spelling of the host, or give its IP address',
  zh: '请检查主机名拼写,或改用 IP 地址',
};

const REASONS: Readonly<Record<string, { readonly said: Text; readonly hint: Text }>> = {
  ECONNREFUSED: {
    said: { en: 'nothing listens on that port', zh: '该端口没有服务在监听' },
    hint: {
      en: 'start its sshd (systemctl start ssh), or name the right port: worker add HOST:PORT',
      zh: '请启动该主机的 sshd(systemctl start ssh),或指定正确的端口:worker add 主机:端口',
    },
  },
  ENOTFOUND: { said: { en: 'no such host name', zh: '主机名无法解析' }, hint: NAME },
  EAI_AGAIN: { said: { en: 'the name servers do not answer', zh: '域名服务器没有响应' }, hint: NAME },
  EHOSTUNREACH: { said: { en: 'no way to that host', zh: '没有到该主机的路由' }, hint: CHECK },
  ENETUNREACH: { said: { en: 'no way to that network', zh: '没有到该网络的路由' }, hint: CHECK },
  silent: {
    said: {
      en: `no login within ${CONNECT_LIMIT / 1000} seconds`,
      zh: `${CONNECT_LIMIT / 1000} 秒内未能完成登录`,
    },
    hint: {
      en: 'the host, its sshd or a firewall keeps silent; check with: ssh -v DESTINATION',
      zh: '主机、其 sshd 或防火墙没有响应;请检查:ssh -v DESTINATION',
    },
  },
  lost: {
    said: {
      en: 'the connection broke in the middle; whether the command went on there is unknown',
      zh: '连接中途断开;命令是否仍在那边执行尚不清楚',
    },
    hint: {
      en: 'check the network to that host, then run the same command again',
      zh: '请检查到该主机的网络,然后重新运行同一条命令',
    },
  },
};

/** Nobody was let in. */
export function loginRefused(host: Host, at: Endpoint, tried: readonly string[]): UserError {
  const where = addressOf(at);
  // Only of the host itself, not of one on the way there, can be told how to get in.
  const add = at === host ? `xingrin worker add ${where}` : '';
  const offered = tried.length === 0 ? { en: 'nothing', zh: '无' } : { en: tried.join(', '), zh: tried.join('、') };
  return new UserError(
    'AUTHENTICATION',
    { en: `${where} refused the login (offered: ${offered.en})`, zh: `${where} 拒绝登录(已尝试:${offered.zh})` },
    {
      host: host.name,
      hint: {
        en: `put a key there: ssh-copy-id ${sshWords(at)}${add && `; or name a key or a password: ${add} --identity FILE, or --password-stdin`}`,
        zh: `请安装公钥:ssh-copy-id ${sshWords(at)}${add && `;或指定私钥或密码:${add} --identity 文件,或 --password-stdin`}`,
      },
    },
  );
}

/** The host shows another key than the pinned one: it is not the same host, or somebody is in between. */
export function hostKeyDiffers(host: Host, at: Endpoint, fingerprints: { pinned: string; shown: string }): UserError {
  const where = addressOf(at);
  const { pinned, shown } = fingerprints;
  return new UserError(
    'HOST_KEY',
    {
      en: `the host key of ${where} has changed: pinned ${pinned}, shown ${shown}; nothing was sent`,
      zh: `${where} 的主机密钥已改变:已登记 ${pinned},现为 ${shown};未发送任何内容`,
    },
    {
      host: host.name,
      hint: {
        en: `if that machine was set up anew: xingrin worker remove ${host.name} --force, then worker add again; if not, somebody may be listening in`,
        zh: `若该主机确已重装:先 xingrin worker remove ${host.name} --force 再重新添加;否则可能有人在中间窃听`,
      },
    },
  );
}

/** Nobody has vouched for this host yet. */
export function hostKeyUnknown(host: Host, at: Endpoint): UserError {
  const where = addressOf(at);
  return new UserError(
    'HOST_KEY',
    { en: `no host key of ${where} is pinned; nothing was sent`, zh: `尚未登记 ${where} 的主机密钥;未发送任何内容` },
    { host: host.name, hint: { en: `xingrin worker add ${where}`, zh: `xingrin worker add ${where}` } },
  );
}

export function commandTimeout(host: Pick<Host, 'name'>, argv: readonly string[], limit: number): UserError {
  const seconds = limit / 1000;
  return new UserError(
    'TIMEOUT',
    {
      en: `${argv[0] ?? ''} on ${host.name} took longer than ${seconds} s and was ended`,
      zh: `${host.name} 上的 ${argv[0] ?? ''} 超过 ${seconds} 秒,已被终止`,
    },
    {
      host: host.name,
      hint: {
        en: 'is that host busy or its disk slow? xingrin doctor tells; worker exec takes --timeout SECONDS',
        zh: '该主机是否过忙或磁盘过慢?可用 xingrin doctor 检查;worker exec 可用 --timeout 秒数',
      },
    },
  );
}

/** The operator, or what stands for one, wanted no more of it. */
export function interrupted(host: Pick<Host, 'name'>): UserError {
  return new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' }, { host: host.name });
}

/** An endpoint as `ssh` and `ssh-copy-id` take it. */
export function sshWords({ host, port, user }: Endpoint): string {
  return `${port === 22 ? '' : `-p ${port} `}${user}@${host}`;
}
