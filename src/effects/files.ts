import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import {
  access,
  chmod,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  truncate,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../domain/errors.ts';
import type { Text } from '../domain/text.ts';

/** The text of a file, or null where there is none. Throws PRECONDITION (exit 6) where it may not be read. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    if (codeOf(error) === 'EACCES') {
      throw notAllowed(path, { en: `${path} may not be read (EACCES)`, zh: `${path} 不可读(EACCES)` }, error);
    }
    throw error;
  }
}

/**
 * The text of a file in a folder that others write to as well; null where there is none, or something else: a link, a pipe, a folder, or
 * more than `limit` bytes.
 */
export async function readForeignText(path: string, limit: number): Promise<string | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch(() => null);
  if (file === null) return null;
  try {
    const found = await file.stat();
    return found.isFile() && found.size <= limit ? await file.readFile('utf8') : null;
  } finally {
    await file.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.F_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Replaces a file so that after a crash or a power cut it holds either the old text or the new, whole: temporary file in the
 * same folder, fsync, rename, fsync of the folder. Keeps the owner of an existing file, its mode unless `mode` is given, and the symbolic link
 * that leads to it. Creates folders.
 * Throws DISK or PRECONDITION (exit 6) where the disk is full or may not be written; what was there is untouched then.
 */
export async function writeFileAtomic(path: string, text: string, options: WriteOptions = {}): Promise<void> {
  await sayingWhy(path, () => replaceFile(path, text, options));
}

export interface WriteOptions {
  readonly mode?: number;
  /** A symbolic link is replaced, not followed: for folders that others write to as well. */
  readonly replaceLink?: boolean;
}

/** How the files end that {@link writeFileAtomic} writes before it renames them. */
const TEMPORARY = '.xingrin-tmp';

/** Removes what killed processes left half written in a folder: to be called under the project's lock only. */
export async function removeHalfWritten(folder: string): Promise<void> {
  for (const name of await listFolder(folder)) if (name.endsWith(TEMPORARY)) await remove(join(folder, name));
}

/**
 * Makes a file that holds the whole text or is not there; false if there is one of that name, which stays as it is. Throws DISK or
 * PRECONDITION (exit 6) as {@link writeFileAtomic}.
 */
export async function createFileAtomic(path: string, text: string, mode: number): Promise<boolean> {
  try {
    await sayingWhy(path, () => putFile(path, text, { mode, owner: null }, (temporary) => link(temporary, path)));
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function replaceFile(
  name: string,
  text: string,
  { mode: wanted, replaceLink = false }: WriteOptions,
): Promise<void> {
  const path = replaceLink ? name : await behindLinks(name);
  const old = replaceLink ? null : await statOf(path);
  const mode = wanted ?? (old === null ? 0o644 : old.mode & 0o777);
  await putFile(path, text, { mode, owner: old }, (temporary) => rename(temporary, path));
}

/** Where a symbolic link leads: replaced is what it leads to. */
async function behindLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return path;
    throw error;
  }
}

async function putFile(
  path: string,
  text: string,
  { mode, owner }: { readonly mode: number; readonly owner: { readonly uid: number; readonly gid: number } | null },
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${randomBytes(6).toString('hex')}${TEMPORARY}`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(text);
      // Root keeps files their owners'; others can give nothing away.
      if (owner !== null && process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary);
  } finally {
    await rm(temporary, { force: true });
  }
  await syncPath(folder);
}

/**
 * Appends one line and waits until the disk has it. Throws DISK or PRECONDITION (exit 6) as {@link writeFileAtomic}; of a line
 * that did not fit, nothing stays.
 */
export async function appendLine(path: string, line: string, options: { mode?: number } = {}): Promise<void> {
  await sayingWhy(path, async () => {
    const fresh = !(await exists(path));
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'a', options.mode ?? 0o644);
    try {
      await file.writeFile(`${line}\n`);
      await file.sync();
    } catch (error) {
      await cutTornLine(path).catch(() => {});
      throw error;
    } finally {
      await file.close();
    }
    if (fresh) await syncPath(dirname(path));
  });
}

/** Takes off what stands behind the last line end of a file. No error where there is no file. */
export async function cutTornLine(path: string): Promise<void> {
  const bytes = await readFile(path).catch(() => null);
  if (bytes === null) return;
  const whole = bytes.lastIndexOf('\n') + 1;
  if (whole < bytes.length) await truncate(path, whole);
}

/** Creates a folder (and its parents) with a mode of its own, also where the umask would take bits away. */
export async function makeFolder(path: string, mode: number): Promise<void> {
  await sayingWhy(path, async () => {
    await mkdir(path, { recursive: true, mode });
    await chmod(path, mode);
  });
}

/** Throws PRECONDITION (exit 6) where it may not be changed. */
export async function makeFileMode(path: string, mode: number): Promise<void> {
  await sayingWhy(path, () => chmod(path, mode));
}

/** Names in a folder, sorted; empty where there is no folder. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Removes a file or a folder; no error where there is none. */
export async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** A file's permissions (0o600), or null where there is none. */
export async function modeOf(path: string): Promise<number | null> {
  const found = await statOf(path);
  return found === null ? null : found.mode & 0o777;
}

/** The user id of a file or folder. */
export async function ownerOf(path: string): Promise<number> {
  return (await stat(path)).uid;
}

async function statOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Waits until the disk has these files and the folders that they are in; those that are not there are passed over. */
export async function syncFiles(paths: readonly string[]): Promise<void> {
  for (const path of paths) await syncOne(path);
  for (const folder of new Set(paths.map((path) => dirname(path)))) await syncOne(folder);
}

async function syncOne(path: string): Promise<void> {
  try {
    await syncPath(path);
  } catch (error) {
    // A symbolic link that leads nowhere has nothing to wait for either.
    if (!isMissing(error)) throw error;
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function notAllowed(path: string, text: Text, cause: unknown): UserError {
  const hint = {
    en: `run it as the owner of that folder, or with sudo: ls -ld ${dirname(path)}`,
    zh: `请以该目录所有者身份或使用 sudo 运行:ls -ld ${dirname(path)}`,
  };
  return new UserError('PRECONDITION', text, { hint, cause });
}

/** A disk that is full or may not be written is the operator's to mend, and no bug. */
async function sayingWhy<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new UserError(
        'DISK',
        { en: `no space left to write ${path}`, zh: `磁盘空间不足,无法写入 ${path}` },
        {
          hint: {
            en: `make room (xingrin prune removes old images), then try again: df -h ${dirname(path)}`,
            zh: `请先腾出空间(xingrin prune 可清理旧镜像)再重试:df -h ${dirname(path)}`,
          },
          cause: error,
        },
      );
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
      throw notAllowed(path, { en: `${path} may not be written (${code})`, zh: `${path} 不可写(${code})` }, error);
    throw error;
  }
}
