import stringWidth from 'string-width';

/** Cuts or pads to a number of terminal columns; Chinese characters and emoji take two. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - stringWidth(text)));
}

/** Cuts to a number of terminal columns, with an ellipsis where something is missing. */
export function cut(text: string, columns: number): string {
  if (stringWidth(text) <= columns) return text;
  let kept = '';
  for (const character of text) {
    if (stringWidth(kept + character) > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** A table without lines: columns as wide as their widest cell, two spaces between, no trailing blanks. */
export function table(rows: readonly (readonly string[])[], indent = 0): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, stringWidth(cell));
  }
  return rows
    .map(
      (row) =>
        ' '.repeat(indent) +
        row
          .map((cell, column) => pad(cell, widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
    )
    .join('\n');
}

/** Takes away what could move the cursor or colour the screen: text that came from somebody else. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/\u001B\[[0-?]*[ -/]*[@-~]/g, '').replace(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, '');
}

export function indented(text: string, columns: number): string {
  const margin = ' '.repeat(columns);
  return text
    .split('\n')
    .map((line) => (line === '' ? line : margin + line))
    .join('\n');
}

/** What a line can be broken between: blanks, words, Chinese characters. No bracket or stop is parted from its word. */
const PIECES = /\s+|[(《「『“]*(?:[\u2E80-\u{3FFFF}]|[^\s\u2E80-\u{3FFFF}]+)[、。,;:?!)》」』”]*/gu;

/** Breaks a text into lines of at most so many columns: between words, and between Chinese characters. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of text.match(PIECES) ?? []) {
    if (line !== '' && stringWidth(line + piece.trimEnd()) > columns) {
      lines.push(line.trimEnd());
      line = '';
    }
    if (line !== '' || piece.trim() !== '') line += piece;
  }
  return line.trimEnd() === '' ? lines : [...lines, line.trimEnd()];
}
