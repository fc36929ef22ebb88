import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { UserError } from '../domain/errors.ts';
import { parseInventory, type Inventory } from '../domain/inventory.ts';
import { readText } from '../effects/files.ts';
import type { Project } from './project.ts';

/** The declared workers; none before the first. Throws BAD_CONFIG (exit 2) with file and line if the file was damaged. */
export async function readInventory(project: Project): Promise<Inventory> {
  try {
    return parseInventory(await readText(project.inventoryFile), project.inventoryFile);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'BAD_CONFIG') throw error;
    const { hint } = error.details;
    throw error.withHint({
      en: `${hint === undefined ? 'mend that line' : hint.en}; or take back how it was: xingrin backup list, xingrin backup restore NAME`,
      zh: `${hint === undefined ? '请修正该行' : hint.zh};或恢复先前的备份:xingrin backup list,xingrin backup restore 名称`,
    });
  }
}

/** What the main server calls itself as a worker. */
export async function localWorkerName(project: Project): Promise<string> {
  const text = await readText(project.envFile);
  const name = text === null ? undefined : envValue(parseEnvFile(text, project.envFile), 'WORKER_NAME');
  return name === undefined || name === '' ? 'local' : name;
}
