import { refuse } from './refusal.ts';

export const BODY_LIMIT = 64 * 1024;
export const JSON_TYPE = 'application/json; charset=utf-8';

/** Refuses what is not JSON with 400. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return refuse(400, 'BAD_INPUT', 'the body is not JSON', 'body');
  }
}
