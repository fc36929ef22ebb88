import { GitError, simpleGit, type SimpleGit } from 'simple-git';
import { fail, UserError } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';

/** Milliseconds without a word from a remote after which we give it up. */
const REMOTE_SILENCE = 30_000;

/** Variables of the caller that would point git at another repository than ours. */
const FOREIGN = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
]);

/** What git said when it failed: its exit code and its own words. */
export class GitFailure extends GitError {
  readonly exitCode: number;
  constructor(exitCode: number, message: string) {
    super(undefined, message);
    this.name = 'GitFailure';
    this.exitCode = exitCode;
  }
}

/** One checkout. Every method is one git command, or a few; arguments go as they are. */
export class Git {
  readonly root: string;
  readonly #client: SimpleGit;

  private constructor(root: string, client: SimpleGit) {
    this.root = root;
    this.#client = client;
  }

  /**
   * Opens the checkout whose top folder is `root`, or null if that is no checkout (or there is no git).
   *
   * @param refuse called with the first file that git tracks below `never`, which must not come with a checkout
   */
  static async open(root: string, never: string, refuse: (path: string) => never): Promise<Git | null> {
    const git = new Git(root, clientFor(root, {}));
    // One question for both: what it says, and whether git can say anything here.
    const tracked = await git.try(['ls-files', '-z', '--', never]);
    if (tracked === null) return null;
    const [first = ''] = tracked.split('\0');
    return first === '' ? git : refuse(first);
  }

  /** The same checkout with more environment: an index of its own, an author. */
  with(env: Readonly<Record<string, string>>): Git {
    return new Git(this.root, clientFor(this.root, env));
  }

  /** Runs git and returns what it printed, without the final newline. Throws {@link GitFailure}. */
  async run(args: readonly string[]): Promise<string> {
    return (await this.#client.raw([...args])).replace(/\r?\n$/, '');
  }

  /** Like {@link run}; null where git fails. For questions whose answer may be "there is none". */
  async try(args: readonly string[]): Promise<string | null> {
    try {
      return await this.run(args);
    } catch (error) {
      if (error instanceof GitFailure) return null;
      throw error;
    }
  }

  /** The commit a name stands for, or null. */
  commitOf(name: string): Promise<string | null> {
    return this.try(['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`]);
  }

  /** The branch that HEAD is on, or null when it is detached. */
  branch(): Promise<string | null> {
    return this.try(['symbolic-ref', '--quiet', '--short', 'HEAD']);
  }

  /** Tracked files that differ from HEAD, as git names them; untracked files are nobody's business. */
  async changedFiles(): Promise<string[]> {
    const out = await this.run(['status', '--porcelain=v1', '-z', '--untracked-files=no', '--no-renames']);
    return out
      .split('\0')
      .filter((line) => line !== '')
      .map((line) => line.slice(3));
  }

  /** A file's text at a commit or ref, byte for byte; null if it is not there. */
  async fileAt(ref: string, path: string): Promise<string | null> {
    try {
      return await this.#client.raw(['cat-file', 'blob', `${ref}:${path}`]);
    } catch (error) {
      if (error instanceof GitFailure) return null;
      throw error;
    }
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    return (await this.try(['merge-base', '--is-ancestor', ancestor, descendant])) !== null;
  }

  async isShallow(): Promise<boolean> {
    return (await this.run(['rev-parse', '--is-shallow-repository'])) === 'true';
  }

  /** The address of a remote, or null. May hold a password: never print it. */
  remoteUrl(remote: string): Promise<string | null> {
    return this.try(['remote', 'get-url', remote]);
  }

  /** Names of git tags that point at a commit. */
  async tagsAt(commit: string): Promise<string[]> {
    return lines(await this.run(['tag', '--points-at', commit]));
  }

  async tags(): Promise<string[]> {
    return lines(await this.run(['tag', '--list']));
  }

  /** Brings the remote's branches and git tags here. Tells how far it is: who says nothing for long is given up. Throws UNREACHABLE (exit 4). */
  async fetch(remote: string): Promise<void> {
    await this.talkTo(remote, ['fetch', '--progress', '--tags', '--prune', '--no-recurse-submodules', remote]);
  }

  /** Refs of the remote by name, read without fetching. Throws UNREACHABLE (exit 4). */
  async remoteRefs(remote: string, ...patterns: string[]): Promise<Map<string, string>> {
    const out = await this.talkTo(remote, ['ls-remote', '--quiet', remote, ...patterns]);
    return new Map(
      lines(out).map((line): [string, string] => {
        const [commit = '', name = ''] = line.split('\t');
        return [name, commit];
      }),
    );
  }

  /** Runs a command that needs the remote; a failure is the remote's, told without its address (which may hold a password). */
  async talkTo(remote: string, args: readonly string[]): Promise<string> {
    try {
      return await this.run(args);
    } catch (error) {
      if (!(error instanceof GitFailure)) throw error;
      const said = withoutCredentials(error.message);
      throw new UserError(
        'UNREACHABLE',
        { en: `the git remote "${remote}" did not answer as it should`, zh: `git 远端 "${remote}" 没有正常应答` },
        { hint: retryHint(), evidence: said, cause: error },
      );
    }
  }
}

function retryHint(): Text {
  return {
    en: 'check the network and your access with: git fetch',
    zh: '请用 git fetch 检查网络与访问权限',
  };
}

/** Takes user and password out of every address in a text. */
export function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1***@');
}

function clientFor(root: string, extra: Readonly<Record<string, string>>): SimpleGit {
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => !FOREIGN.has(entry[0]) && entry[1] !== undefined,
    ),
  );
  const env = {
    GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oConnectTimeout=10',
    ...inherited,
    // Nobody is there to answer git's questions; and its words come untranslated.
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
    ...extra,
  };
  return simpleGit({
    baseDir: root,
    // Operators run as root in a checkout that belongs to someone else.
    config: [`safe.directory=${root}`],
    timeout: { block: REMOTE_SILENCE },
    allowEnvironment: Object.keys(env),
    // The environment is the operator's own and git's to obey, from EDITOR to GIT_CONFIG_COUNT; arguments stay guarded.
    unsafe: {
      allowUnsafeAskPass: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeDiffExternal: true,
      allowUnsafeEditor: true,
      allowUnsafeExec: true,
      allowUnsafeGitProxy: true,
      allowUnsafePager: true,
      allowUnsafeSshCommand: true,
      allowUnsafeTemplateDir: true,
    },
    errors(error, result) {
      if (result.exitCode === 0 && error === undefined) return undefined;
      const words = Buffer.concat([...result.stdErr])
        .toString('utf8')
        .trim();
      return new GitFailure(result.exitCode, words || `git ended with code ${result.exitCode}`);
    },
  }).env(env);
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

/** Refuses to go on without a checkout. */
export function requireGit(git: Git | null, root: string): Git {
  return (
    git ??
    fail(
      'PRECONDITION',
      { en: `${root} is not a git checkout`, zh: `${root} 不是 git 检出目录` },
      { hint: same(`git clone …`) },
    )
  );
}
