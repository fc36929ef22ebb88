import { basename, dirname, join, resolve } from 'node:path';
import { fail } from '../domain/errors.ts';
import {
  parseProjectName,
  projectNameOf,
  renderTemplate,
  templateEntries,
  type TemplateEntry,
  type TemplateValues,
} from '../domain/template.ts';
import { exists, writeFileAtomic } from '../effects/files.ts';
import { packageFile } from '../effects/package-root.ts';
import type { Report, Session } from './session.ts';

export interface InitOptions {
  /** Where the project is to be; created if missing. */
  readonly directory: string;
  /** Name of the Compose project; made from the directory's name if absent. */
  readonly name?: string;
}

/** Paths below the directory: what was written, and what was there before and is as it was. */
export interface InitResult {
  readonly created: string[];
  readonly kept: string[];
}

interface InitPlan {
  readonly root: string;
  readonly create: readonly (TemplateEntry & { readonly text: string })[];
  readonly kept: string[];
}

/**
 * Writes a complete project. What is there already stays untouched, so that it can be run again, also after it was cut short.
 * Fails with BAD_INPUT for a name that Compose refuses, PRECONDITION where a file stands in the way of a folder or nothing may
 * be written.
 */
export async function init(options: InitOptions): Promise<InitResult> {
  return write(await plan(options));
}

/** `xingrin init [directory]` */
export async function initCommand(session: Session, options: InitOptions): Promise<Report> {
  const directory = resolve(session.globals.project, options.directory);
  const intent = await plan({ ...options, directory });
  const { created, kept } = session.globals.dryRun
    ? { created: intent.create.map((entry) => entry.target), kept: intent.kept }
    : await write(intent);
  const zh = session.terminal.language === 'zh';
  const lines = [
    zh ? `${directory}:新建 ${created.length} 个文件` : `${directory}: ${created.length} new files`,
    ...created.map((path) => `  + ${path}`),
    ...(kept.length === 0 ? [] : [zh ? '已存在,保持不变:' : 'there before, left as they are:']),
    ...kept.map((path) => `    ${path}`),
  ];
  return { data: { directory, created, kept }, text: lines.join('\n') };
}

async function plan(options: InitOptions): Promise<InitPlan> {
  const root = resolve(options.directory);
  const values: TemplateValues = {
    PROJECT: options.name === undefined ? projectNameOf(basename(root)) : parseProjectName(options.name),
    XINGRIN_VERSION: (await packageFile('VERSION')).trim().replace(/^v/, ''),
  };
  const create: (TemplateEntry & { text: string })[] = [];
  const kept: string[] = [];
  for (const entry of templateEntries()) {
    if (await exists(join(root, entry.target))) kept.push(entry.target);
    else {
      await requireFolderPath(root, dirname(entry.target));
      const text = await packageFile(entry.source);
      create.push({ ...entry, text: entry.filled ? renderTemplate(text, values) : text });
    }
  }
  return { root, create, kept };
}

async function write({ root, create, kept }: InitPlan): Promise<InitResult> {
  for (const { target, text, mode } of create) {
    try {
      await writeFileAtomic(join(root, target), text, { mode });
    } catch (error) {
      fail(
        'PRECONDITION',
        { en: `cannot write ${join(root, target)}`, zh: `无法写入 ${join(root, target)}` },
        { cause: error, ...(error instanceof Error ? { evidence: error.message } : {}) },
      );
    }
  }
  return { created: create.map((entry) => entry.target), kept };
}

/** Before anything is written: every folder on the way is one, or is not there yet. */
async function requireFolderPath(root: string, folder: string): Promise<void> {
  const parts = folder === '.' ? [] : folder.split('/');
  for (let depth = 0; depth <= parts.length; depth += 1) {
    const path = join(root, ...parts.slice(0, depth));
    // With a slash at its end the path of a file does not exist.
    if ((await exists(path)) && !(await exists(`${path}/`))) {
      fail('PRECONDITION', {
        en: `${path} is a file, and the project needs a folder of that name`,
        zh: `${path} 是一个文件,而项目需要同名目录`,
      });
    }
  }
}
