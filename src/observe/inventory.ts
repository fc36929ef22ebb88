import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { parseInventory, type Inventory } from '../domain/inventory.ts';
import { readText } from '../effects/files.ts';
import type { Project } from './project.ts';

/** The declared workers; none before the first. Throws BAD_CONFIG (exit 2) with file and line if the file was damaged. */
export async function readInventory(project: Project): Promise<Inventory> {
  return parseInventory(await readText(project.inventoryFile), project.inventoryFile);
}

/** What the main server calls itself as a worker. */
export async function localWorkerName(project: Project): Promise<string> {
  const text = await readText(project.envFile);
  const name = text === null ? undefined : envValue(parseEnvFile(text, project.envFile), 'WORKER_NAME');
  return name === undefined || name === '' ? 'local' : name;
}
