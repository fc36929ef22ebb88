import type { Help } from 'commander';
import { wrapped } from '../ui/layout.ts';

/** Below this many columns a flag and what it means do not stand side by side. */
const ROOMY = 60;
const INDENT = '  ';

/** One entry of a help text in a narrow terminal: what it means is under it. Null where there is room. */
export function narrowItem(term: string, description: string, helper: Help): string | null {
  const width = helper.helpWidth ?? 80;
  if (width >= ROOMY) return null;
  const under = INDENT.repeat(3);
  const lines = description === '' ? [] : wrapped(description, width - under.length).map((line) => under + line);
  return [...wrapped(term, width - INDENT.length).map((line) => INDENT + line), ...lines].join('\n');
}
