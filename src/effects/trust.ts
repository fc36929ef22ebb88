import type { Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';
import { shellCommand } from '../argv/shell-quote.ts';
import { trustedUids } from './identity.ts';
import { run } from './process.ts';

/** Bits of a mode by which others than the owner may write. */
const GROUP_OR_WORLD_WRITES = 0o022;
const WORLD_WRITES = 0o002;
/** Bits of a folder's mode by which others than the owner may enter it. */
const OTHERS_ENTER = 0o011;

/** Below the state folder: what the control plane's container writes, and what dead processes left. Read as foreign data, or only removed. */
const NOT_OURS = new Set(['server', 'tasks', 'tmp']);

/** Why a folder may not be taken for a project: who could have put it there. Null if it may. */
export async function strangersIn(root: string): Promise<Text | null> {
  const trusted = trustedUids();
  if (trusted.size === 0) return null;
  const found = await stat(root);
  if ((found.mode & WORLD_WRITES) !== 0) {
    return { en: `every user of this machine can write to ${root}`, zh: `本机任何用户都可写入 ${root}` };
  }
  for (const path of [root, join(root, 'xingrin.yaml')]) {
    const owner = (await stat(path).catch(() => null))?.uid;
    if (owner === undefined || trusted.has(owner)) continue;
    return { en: `${path} belongs to another user (uid ${owner})`, zh: `${path} 属于其他用户(uid ${owner})` };
  }
  return null;
}

/** Whether the operator has told git to trust a checkout of another user; what the checkout itself says does not count. */
export async function isTrustedByGit(root: string): Promise<boolean> {
  const real = await realpath(root);
  for (const scope of ['--system', '--global']) {
    const argv = ['git', 'config', scope, '--null', '--get-all', 'safe.directory'];
    const { stdout } = await run(argv, { cwd: '/' });
    // An empty value takes back all before it.
    const listed = stdout.split('\0').slice(0, -1);
    const folders = listed.slice(listed.lastIndexOf('') + 1);
    const names = (folder: string): boolean =>
      folder === '*' ||
      folder === root ||
      folder === real ||
      (folder.endsWith('/*') && real.startsWith(folder.slice(0, -1)));
    if (folders.some(names)) return true;
  }
  return false;
}

/** Throws PRECONDITION (exit 6) for a project that another user of this machine could have put there. */
export async function requireTrustedRoot(root: string): Promise<void> {
  const strangers = await strangersIn(root);
  if (strangers === null || (await isTrustedByGit(root))) return;
  fail(
    'PRECONDITION',
    {
      en: `the project in ${root} is not trusted: ${strangers.en}`,
      zh: `不信任 ${root} 中的项目:${strangers.zh}`,
    },
    {
      hint: {
        en: `if it is yours, say so to git, which xingrin asks as well: ${shown(['git', 'config', '--global', '--add', 'safe.directory', root])}`,
        zh: `如果确实是您的项目,请告知 git(xingrin 采用同样的规则):${shown(['git', 'config', '--global', '--add', 'safe.directory', root])}`,
      },
    },
  );
}

/**
 * Throws PRECONDITION (exit 6) unless everything in the state folder was made by users whom we trust: no link on the way, no other
 * owner, nothing that others may write. To be called before anything of it is used.
 *
 * @param trusted user ids; see {@link trustedUids}
 */
export async function requireTrustedState(state: string, trusted: ReadonlySet<number> = trustedUids()): Promise<void> {
  const top = await lstatOf(state);
  if (top === null || trusted.size === 0) return;
  requireTrusted(state, top, { state, trusted, entered: true });
  if (top.isDirectory()) await requireTrustedBelow('', { state, trusted, entered: (top.mode & OTHERS_ENTER) !== 0 });
}

interface Rule {
  readonly state: string;
  readonly trusted: ReadonlySet<number>;
  /** Whether others may enter the state folder. */
  readonly entered: boolean;
}

/** @param below a folder, from the state folder */
async function requireTrustedBelow(below: string, rule: Rule): Promise<void> {
  await Promise.all(
    (await namesIn(join(rule.state, below))).map(async (name) => {
      const path = join(rule.state, below, name);
      const found = await lstatOf(path);
      // Another process may be writing here: a temporary file comes and goes.
      if (found === null) return;
      requireTrusted(path, found, rule);
      if (found.isDirectory() && !(below === '' && NOT_OURS.has(name)))
        await requireTrustedBelow(join(below, name), rule);
    }),
  );
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    return fail(
      'PRECONDITION',
      { en: `${folder} may not be read`, zh: `${folder} 不可读` },
      {
        hint: {
          en: 'it was made by another user, root perhaps: run the same with sudo',
          zh: '它由其他用户(可能是 root)创建:请使用 sudo 执行同一命令',
        },
        cause: error,
      },
    );
  }
}

/** Where others cannot enter the state folder, it does not matter what they could write inside (`entered` is false). */
function requireTrusted(path: string, found: Stats, { state, trusted, entered }: Rule): void {
  if (found.isSymbolicLink()) {
    return refuseState(
      { en: `${path} is a symbolic link`, zh: `${path} 是符号链接` },
      {
        en: `xingrin makes no links there; look where it leads, then remove it: ${shown(['rm', path])}`,
        zh: `xingrin 不会在此创建链接;请查看其指向后删除:${shown(['rm', path])}`,
      },
    );
  }
  if (!found.isDirectory() && !found.isFile()) {
    return refuseState(
      { en: `${path} is neither a file nor a folder`, zh: `${path} 既不是文件也不是目录` },
      same(shown(['rm', path])),
    );
  }
  if (!trusted.has(found.uid)) {
    return refuseState(
      { en: `${path} belongs to another user (uid ${found.uid})`, zh: `${path} 属于其他用户(uid ${found.uid})` },
      {
        en: `run xingrin as that user, or, if you know every file in it: sudo chown -R "$(id -u)" ${shown([state])}`,
        zh: `请以该用户身份运行 xingrin;若确认其中每个文件都可信:sudo chown -R "$(id -u)" ${shown([state])}`,
      },
    );
  }
  if (entered && (found.mode & GROUP_OR_WORLD_WRITES) !== 0) {
    return refuseState(
      { en: `other users can write to ${path}`, zh: `其他用户可写入 ${path}` },
      {
        en: `look at what is in it, then: chmod -R go-w ${shown([state])}`,
        zh: `请检查其中内容,然后执行:chmod -R go-w ${shown([state])}`,
      },
    );
  }
}

/** Throws PRECONDITION (exit 6): the state folder came with the checkout. */
export function refuseTrackedState(root: string, path: string): never {
  return refuseState(
    {
      en: `git tracks ${path}: the state did not come into being here, it came with the checkout`,
      zh: `git 跟踪了 ${path}:这些状态并非在本机产生,而是随检出而来`,
    },
    {
      en: `remove it: ${shown(['git', '-C', root, 'rm', '-r', '-f', '--quiet', '.xingrin'])} and commit that; only if all of it is known to be this machine's own: the same with --cached, which keeps the files`,
      zh: `请删除并提交:${shown(['git', '-C', root, 'rm', '-r', '-f', '--quiet', '.xingrin'])};仅当确认全部属于本机时,可加 --cached 保留文件`,
    },
  );
}

function refuseState(text: Text, hint: Text): never {
  return fail(
    'PRECONDITION',
    {
      en: `the project's state is not trusted, and nothing of it was used: ${text.en}`,
      zh: `不信任项目状态,未使用其中任何内容:${text.zh}`,
    },
    { hint },
  );
}

/** As one types it: words are quoted only where a shell asks for it. */
function shown(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellCommand([word]))).join(' ');
}

async function lstatOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch {
    return null;
  }
}
