import { join } from 'node:path';
import { homedir } from 'node:os';
import type { AnyAuthMethod, BaseAgent, KnownPublicKeys, ParsedKey, utils } from 'ssh2';
import { UserError } from '../domain/errors.ts';
import type { Endpoint } from '../domain/inventory.ts';
import { inspectPrivateKey, type PrivateKeyFacts } from '../domain/private-key.ts';
import { readText } from './files.ts';
import type { Host } from './transport.ts';

/** One way to log in, and what to call it when it was of no use. */
export interface Offer {
  readonly method: AnyAuthMethod;
  readonly title: string;
}

export interface KeyRingOptions {
  /** Path of the project's own private key, which is offered before all others once it is there; null for none. */
  readonly projectKey: string | null;
  /** Asks for the passphrase of a key file; null if there is nobody to ask. */
  readonly askPassphrase: (path: string) => Promise<string | null>;
  /** A password to try after the keys that were named. */
  readonly password?: string;
  /** False: nothing but what is named here. */
  readonly usual?: boolean;
  /** What makes the connections; built in if absent. */
  readonly transport?: TransportKind;
}

/** Built in, or the `ssh` program, with all that it can do and its configuration says. */
export type TransportKind = 'node' | 'openssh';

/** What ssh tries where nothing is named. */
const USUAL_FILES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/** The keys that we can log in with. Each file is read, each passphrase asked for and each agent question put once. */
export class KeyRing {
  readonly #options: KeyRingOptions;
  readonly #keys = new Map<string, Promise<ParsedKey | string>>();
  readonly #inspected = new Map<string, Promise<PrivateKeyFacts | null>>();
  readonly #asked = new Map<string, Promise<string | null>>();
  #agent: Promise<Agent> | undefined;

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /**
   * The ways to log in at a server, best first: the project's key, then the named one (by the agent if it holds it) or the usual
   * ones where neither key nor password was named. Servers hang up after a few that they do not know.
   *
   * @param asking false: keys are left out that somebody would have to be asked for
   * @throws AUTHENTICATION naming the host if there is no way at all, for the reason why the named key is none
   */
  async offersFor(host: Host, at: Endpoint, asking: boolean): Promise<Offer[]> {
    const { password, usual } = this.#options;
    const offers = await this.#own(at.user);
    if (at.identity !== null) {
      const named = await this.#named(at, at.identity, asking);
      if (typeof named !== 'string') offers.push(named);
      // The control plane in its container has the project's key, and not the operator's.
      else if (asking && offers.length === 0 && password === undefined) throw unusable(host, at.identity, named);
    } else if (password === undefined && usual !== false) {
      offers.push(...(await this.#usual(at.user, asking)));
    }
    return password === undefined ? offers : [...offers, ...byPassword(at.user, password)];
  }

  get hasPassword(): boolean {
    return this.#options.password !== undefined;
  }

  /** A password is of use to the built-in transport only. */
  get transport(): TransportKind {
    return this.hasPassword ? 'node' : (this.#options.transport ?? 'node');
  }

  /** Paths of key files for the `ssh` program, which asks its agent and its configuration for others unless `usual` is false. */
  keyFiles(at: readonly Endpoint[]): { readonly paths: readonly string[]; readonly usual: boolean } {
    const { projectKey, usual } = this.#options;
    const named = usual === false ? [] : at.map(({ identity }) => identity);
    const paths = [projectKey, ...named].filter((path): path is string => path !== null);
    return { paths: [...new Set(paths)], usual: usual !== false };
  }

  /** The first of the named key files that nobody opens without its passphrase; null if there is none. */
  async lockedFile(at: readonly Endpoint[]): Promise<string | null> {
    for (const path of this.keyFiles(at).paths) {
      const text = await readText(path).catch(() => null);
      if (text !== null && inspectPrivateKey(text)?.locked === true) return path;
    }
    return null;
  }

  /** The project's key alone, to find out whether a server lets it in. */
  ownOnly(): KeyRing {
    const { projectKey, transport = 'node' } = this.#options;
    return new KeyRing({ projectKey, askPassphrase: async () => null, usual: false, transport });
  }

  async #own(user: string): Promise<Offer[]> {
    const path = this.#options.projectKey;
    const key = path === null ? 'missing' : await this.#load(path);
    return typeof key === 'string'
      ? []
      : [{ method: { type: 'publickey', username: user, key }, title: 'project key' }];
  }

  /** A way to log in with a key file, or why there is none. */
  async #named(at: Endpoint, path: string, asking: boolean): Promise<Offer | string> {
    const { user: username } = at;
    const text = await readText(path).catch(() => null);
    const facts = text === null ? null : inspectPrivateKey(text);
    if (facts?.locked === true && facts.publicKey !== null) {
      const wanted = facts.publicKey;
      const agent = await this.#openAgent();
      const held = agent?.keys.find((key) => key.getPublicSSH().equals(wanted));
      if (agent !== null && held !== undefined)
        return { method: { type: 'agent', username, agent: only(agent.agent, held) }, title: `${path} (agent)` };
    }
    if (facts?.locked === true && !asking && !this.#isOpen(path)) return 'locked';
    const key = await this.#load(path);
    return typeof key === 'string' ? key : { method: { type: 'publickey', username, key }, title: path };
  }

  async #usual(user: string, asking: boolean): Promise<Offer[]> {
    const offers: Offer[] = [];
    const agent = await this.#openAgent();
    if (agent !== null && agent.keys.length > 0)
      offers.push({ method: { type: 'agent', username: user, agent: agent.agent }, title: 'ssh-agent' });
    for (const name of USUAL_FILES) {
      const path = join(homedir(), '.ssh', name);
      const facts = await this.#inspect(path);
      if (facts === null || (facts.locked && !asking && !this.#isOpen(path))) continue;
      const key = await this.#load(path);
      if (typeof key !== 'string') offers.push({ method: { type: 'publickey', username: user, key }, title: path });
    }
    return offers;
  }

  /** What a usual file is, looked at once for all hosts; null where it is no key. */
  #inspect(path: string): Promise<PrivateKeyFacts | null> {
    const known = this.#inspected.get(path);
    if (known !== undefined) return known;
    const facts = readText(path).then(
      (text) => (text === null ? null : inspectPrivateKey(text)),
      () => null,
    );
    this.#inspected.set(path, facts);
    return facts;
  }

  /** Whether opening this key takes nobody's answer. */
  #isOpen(path: string): boolean {
    return this.#asked.has(path) || process.env[PASSPHRASE] !== undefined;
  }

  #load(path: string): Promise<ParsedKey | string> {
    const known = this.#keys.get(path);
    if (known !== undefined) return known;
    const key = this.#read(path);
    this.#keys.set(path, key);
    // A key that is not there yet may be made while we run.
    void key.then((read) => read === 'missing' && this.#keys.delete(path));
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
    const { utils } = (await import('ssh2')).default;
    const key = utils.parseKey(text, passphrase);
    if (key instanceof Error) return facts.locked ? 'wrong passphrase' : 'no key';
    return Array.isArray(key) ? 'no key' : key;
  }

  #passphrase(path: string): Promise<string | null> {
    const given = process.env[PASSPHRASE];
    const answer =
      this.#asked.get(path) ?? (given === undefined ? this.#options.askPassphrase(path) : Promise.resolve(given));
    this.#asked.set(path, answer);
    return answer;
  }

  #openAgent(): Promise<Agent> {
    this.#agent ??= openAgent();
    return this.#agent;
  }
}

const PASSPHRASE = 'XINGRIN_SSH_PASSPHRASE';

type Agent = { readonly agent: BaseAgent; readonly keys: readonly ParsedKey[] } | null;

/** Many servers take a password only in the form of a question. */
function byPassword(username: string, password: string): Offer[] {
  return [
    { method: { type: 'password', username, password }, title: 'password' },
    {
      method: {
        type: 'keyboard-interactive',
        username,
        prompt: (_name, _instructions, _language, prompts, finish) => finish(prompts.map(() => password)),
      },
      title: 'keyboard-interactive',
    },
  ];
}

/** The agent that answers at SSH_AUTH_SOCK, with what it holds; null without one. */
async function openAgent(): Promise<Agent> {
  const socket = process.env['SSH_AUTH_SOCK'];
  if (socket === undefined || socket === '') return null;
  const { createAgent, utils } = (await import('ssh2')).default;
  const agent = createAgent(socket);
  return new Promise((resolve) => {
    agent.getIdentities((error, keys) => {
      const parsed = (keys ?? []).flatMap((key) => publicKeyOf(key, utils.parseKey) ?? []);
      resolve(error != null ? null : { agent, keys: parsed });
    });
  });
}

/** A key that an agent holds, in whichever of the library's shapes; null for one that it cannot read. */
function publicKeyOf(key: KnownPublicKeys[number], parseKey: typeof utils.parseKey): ParsedKey | null {
  let body: unknown = key;
  while (typeof body === 'object' && body !== null && 'pubKey' in body) body = body.pubKey;
  const parsed = parseKey(body as Buffer);
  return parsed instanceof Error || Array.isArray(parsed) ? null : parsed;
}

/** The same agent with one key: servers close the connection after a few wrong ones. */
function only(agent: BaseAgent, key: ParsedKey): BaseAgent {
  const one = Object.create(agent) as BaseAgent;
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
