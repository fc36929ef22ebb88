import { join } from 'node:path';
import { homedir } from 'node:os';
import ssh2, { type AnyAuthMethod, type ParsedKey } from 'ssh2';
import { UserError } from '../domain/errors.ts';
import type { Endpoint } from '../domain/inventory.ts';
import { inspectPrivateKey } from '../domain/private-key.ts';
import { readText } from './files.ts';
import type { Host } from './transport.ts';

/** One way to log in, and what to call it when it was of no use. */
export interface Offer {
  readonly method: AnyAuthMethod;
  readonly title: string;
}

export interface KeyRingOptions {
  /** Asks for the passphrase of a key file; null if there is nobody to ask. */
  readonly askPassphrase: (path: string) => Promise<string | null>;
  /** A password to try after all keys. */
  readonly password?: string;
}

/** What ssh tries where nothing is named. */
const USUAL_FILES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** The keys that we can log in with. Each file is read, each passphrase asked for and each agent question put once. */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #keys = new Map<string, Promise<ParsedKey | string>>();
  #agent: Promise<Agent> | undefined;

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /**
   * The ways to log in at a server, best first. A named key is the only key that is offered there, by the agent if it holds it.
   *
   * @throws AUTHENTICATION naming the host if the named key is missing, unreadable or cannot be opened
   */
  async offersFor(host: Host, at: Endpoint): Promise<Offer[]> {
    const offers = at.identity === null ? await this.#usual(at.user) : [await this.#named(host, at, at.identity)];
    const { password } = this.#options;
    if (password === undefined) return offers;
    // Many servers take a password only in the form of a question.
    const prompt: Offer['method'] = {
      type: 'keyboard-interactive',
      username: at.user,
      prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
    };
    return [
      ...offers,
      { method: { type: 'password', username: at.user, password }, title: 'password' },
      { method: prompt, title: 'keyboard-interactive' },
    ];
  }

  async #named(host: Host, at: Endpoint, path: string): Promise<Offer> {
    const text = await readText(path);
    const facts = text === null ? null : inspectPrivateKey(text);
    const agent = await this.#openAgent();
    if (facts?.locked === true && facts.publicKey !== null) {
      const wanted = facts.publicKey;
      const held = agent?.keys.find((key) => key.getPublicSSH().equals(wanted));
      if (agent !== null && held !== undefined)
        return {
          method: { type: 'agent', username: at.user, agent: only(agent.agent, held) },
          title: `${path} (agent)`,
        };
    }
    const key = await this.#load(path);
    if (typeof key === 'string') throw unusable(host, path, key);
    return { method: { type: 'publickey', username: at.user, key }, title: path };
  }

  async #usual(user: string): Promise<Offer[]> {
    const offers: Offer[] = [];
    const agent = await this.#openAgent();
    if (agent !== null && agent.keys.length > 0)
      offers.push({ method: { type: 'agent', username: user, agent: agent.agent }, title: 'ssh-agent' });
    for (const name of USUAL_FILES) {
      const path = join(homedir(), '.ssh', name);
      const text = await readText(path).catch(() => null);
      const facts = text === null ? null : inspectPrivateKey(text);
      // Nobody is asked for the passphrase of a key that may not be needed.
      const asks = facts?.locked === true && offers.length > 0 && process.env[PASSPHRASE] === undefined;
      if (facts === null || asks) continue;
      const key = await this.#load(path);
      if (typeof key !== 'string') offers.push({ method: { type: 'publickey', username: user, key }, title: path });
    }
    return offers;
  }

  #load(path: string): Promise<ParsedKey | string> {
    const known = this.#keys.get(path);
    if (known !== undefined) return known;
    const key = this.#read(path);
    this.#keys.set(path, key);
    return key;
  }

  /** The opened key, or why there is none: missing, denied, no key, locked, wrong passphrase. */
  async #read(path: string): Promise<ParsedKey | string> {
    let text: string | null;
    try {
      text = await readText(path);
    } catch {
      return 'denied';
    }
    if (text === null) return 'missing';
    const facts = inspectPrivateKey(text);
    if (facts === null) return 'no key';
    const passphrase = facts.locked ? await this.#passphrase(path) : undefined;
    if (passphrase === null) return 'locked';
    const key = ssh2.utils.parseKey(text, passphrase);
    if (key instanceof Error) return facts.locked ? 'wrong passphrase' : 'no key';
    return Array.isArray(key) ? 'no key' : key;
  }

  async #passphrase(path: string): Promise<string | null> {
    return process.env[PASSPHRASE] ?? this.#options.askPassphrase(path);
  }

  #openAgent(): Promise<Agent> {
    this.#agent ??= openAgent();
    return this.#agent;
  }
}

const PASSPHRASE = 'XINGRIN_SSH_PASSPHRASE';

type Agent = { readonly agent: ssh2.BaseAgent; readonly keys: readonly ParsedKey[] } | null;

/** The agent that answers at SSH_AUTH_SOCK, with what it holds; null without one. */
function openAgent(): Promise<Agent> {
  const socket = process.env['SSH_AUTH_SOCK'];
  if (socket === undefined || socket === '') return Promise.resolve(null);
  const agent = ssh2.createAgent(socket);
  return new Promise((resolve) => {
    agent.getIdentities((error, keys) => {
      const parsed = (keys ?? []).flatMap((key) => publicKeyOf(key) ?? []);
      resolve(error != null ? null : { agent, keys: parsed });
    });
  });
}

/** A key that an agent holds, in whichever of the library's shapes; null for one that it cannot read. */
function publicKeyOf(key: ssh2.KnownPublicKeys[number]): ParsedKey | null {
  let body: unknown = key;
  while (typeof body === 'object' && body !== null && 'pubKey' in body) body = body.pubKey;
  const parsed = ssh2.utils.parseKey(body as Buffer);
  return parsed instanceof Error || Array.isArray(parsed) ? null : parsed;
}

/** The same agent with one key: servers close the connection after a few wrong ones. */
function only(agent: ssh2.BaseAgent, key: ParsedKey): ssh2.BaseAgent {
  const one = Object.create(agent) as ssh2.BaseAgent;
  one.getIdentities = (callback) => callback(null, [key]);
  return one;
}

function unusable(host: Host, path: string, reason: string): UserError {
  const words = {
    missing: { en: `there is no key ${path}`, zh: `没有密钥文件 ${path}` },
    denied: { en: `the key ${path} may not be read`, zh: `无权读取密钥 ${path}` },
    'no key': { en: `${path} is not a private key that we can read`, zh: `${path} 不是可识别的私钥` },
    locked: { en: `the key ${path} has a passphrase`, zh: `密钥 ${path} 设有口令` },
    'wrong passphrase': { en: `the passphrase of ${path} is wrong`, zh: `密钥 ${path} 的口令不正确` },
  }[reason] ?? { en: reason, zh: reason };
  const opened = reason === 'locked' || reason === 'wrong passphrase';
  return new UserError('AUTHENTICATION', words, {
    host: host.name,
    hint: opened
      ? {
          en: `ssh-add ${path}, or set ${PASSPHRASE}, or run it in a terminal to be asked`,
          zh: `执行 ssh-add ${path},或设置 ${PASSPHRASE},或在终端中运行以便输入`,
        }
      : {
          en: 'name another key with --identity FILE, in OpenSSH or PEM form (ssh-keygen -p -f FILE converts)',
          zh: '请用 --identity 指定其他私钥(OpenSSH 或 PEM 格式,可用 ssh-keygen -p -f 转换)',
        },
  });
}
