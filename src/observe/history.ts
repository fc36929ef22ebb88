import * as z from 'zod';
import { fail } from '../domain/errors.ts';
import { isVersion, type Version } from '../domain/version.ts';
import { readText } from '../effects/files.ts';
import type { Project } from './project.ts';

const deploymentSchema = z.strictObject({
  /** The operation that made it, as its journal is named. */
  id: z.string(),
  at: z.string(),
  command: z.string(),
  version: z.string().refine(isVersion, 'not a version'),
  commit: z.string().nullable(),
  /** What each service ran, by reference: the image's id here. */
  images: z.record(z.string(), z.string()),
});
const historySchema = z.strictObject({
  schema: z.literal('xingrin-history/v1'),
  deployments: z.array(deploymentSchema),
});

export type Deployment = Omit<z.infer<typeof deploymentSchema>, 'version'> & { readonly version: Version };
export type History = readonly Deployment[];

/** The deployments of this machine, oldest first; empty before the first. Throws BAD_INPUT (exit 2) if the file was damaged. */
export async function readHistory(project: Project): Promise<History> {
  const text = await readText(project.historyFile);
  if (text === null) return [];
  try {
    return historySchema.parse(JSON.parse(text)).deployments as Deployment[];
  } catch (cause) {
    return fail(
      'BAD_INPUT',
      { en: `${project.historyFile} is damaged`, zh: `${project.historyFile} 已损坏` },
      {
        hint: {
          en: 'move it away to begin a new history; the journal folder beside it still tells what was done',
          zh: '请将其移走以重新开始记录;旁边的 journal 目录仍保留操作记录',
        },
        cause,
      },
    );
  }
}

export function formatHistory(deployments: History): string {
  return `${JSON.stringify({ schema: 'xingrin-history/v1', deployments }, null, 2)}\n`;
}

/** The deployment that `rollback` means: the newest of another version than the one in force. */
export function previousDeployment(history: History, current: string | null): Deployment | null {
  return history.findLast((deployment) => deployment.version !== current) ?? null;
}
