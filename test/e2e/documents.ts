import { readFile } from 'node:fs/promises';
import { z } from 'zod';

const FOLDER = new URL('../../dist/schemas/', import.meta.url);
const known = new Map<string, Promise<z.ZodType>>();

/** Compares a document with the schema that is published for its command; what is no document of ours is left alone. */
export async function checkDocument(text: string): Promise<void> {
  const document = parsed(text);
  if (document?.['schema'] !== 'xingrin/v1') return;
  const command = String(document['command']);
  const schema = known.get(command) ?? published(command);
  known.set(command, schema);
  const { error } = (await schema).safeParse(document);
  if (error === undefined) return;
  throw new Error(`${text}\nis not what schemas/ says of ${command}:\n${z.prettifyError(error)}`);
}

async function published(command: string): Promise<z.ZodType> {
  const text = await readFile(new URL(`${command.replaceAll(' ', '-')}.json`, FOLDER), 'utf8');
  return z.fromJSONSchema(JSON.parse(text) as Parameters<typeof z.fromJSONSchema>[0]);
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const document: unknown = JSON.parse(text);
    return typeof document === 'object' ? (document as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}
