import * as z from 'zod';
import { readText } from '../effects/files.ts';
import type { Project } from './project.ts';

const leftOutSchema = z.strictObject({
  schema: z.literal('xingrin-left-out/v1'),
  services: z.array(z.string()),
});

/** Services that `--no-frontend` left out, sorted. A file that cannot be read leaves nothing out: what is missing is told then. */
export async function readLeftOut(project: Project): Promise<readonly string[]> {
  const text = await readText(project.leftOutFile);
  if (text === null) return [];
  try {
    return leftOutSchema.parse(JSON.parse(text)).services;
  } catch {
    return [];
  }
}

export function formatLeftOut(services: readonly string[]): string {
  return `${JSON.stringify({ schema: 'xingrin-left-out/v1', services }, null, 2)}\n`;
}
