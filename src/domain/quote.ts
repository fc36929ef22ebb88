const SHOWN = 40;

/**
 * Input as it may be shown in a message: in double quotes, nothing in it that moves the cursor, changes the direction of
 * writing or cannot be seen, and at most 40 characters of it.
 */
export function quoted(text: string): string {
  let shown = '';
  for (const character of text) {
    const next = visible(character);
    if (shown.length + next.length > SHOWN) return `"${shown}…"`;
    shown += next;
  }
  return `"${shown}"`;
}

function visible(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  if (character === '\\' || character === '"') return `\\${character}`;
  if (character === ' ') return ' ';
  return /[\p{C}\p{Z}\p{M}]/u.test(character) ? `\\u{${character.codePointAt(0)?.toString(16)}}` : character;
}
