import { parseInventory, type Inventory } from '../domain/inventory.ts';
import { readText } from '../effects/files.ts';
import type { Project } from './project.ts';

/** The declared workers; none before the first. Throws BAD_CONFIG (exit 2) with file and line if the file was damaged. */
export async function readInventory(project: Project): Promise<Inventory> {
  return parseInventory(await readText(project.inventoryFile), project.inventoryFile);
}
