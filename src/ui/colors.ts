import picocolors from 'picocolors';

/** The few colours we use, each with one meaning; all of them nothing where colours are off. */
export interface Palette {
  readonly strong: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly caution: (text: string) => string;
  readonly command: (text: string) => string;
}

export function palette(colors: boolean): Palette {
  const c = picocolors.createColors(colors);
  return { strong: c.bold, dim: c.dim, good: c.green, bad: c.red, caution: c.yellow, command: c.cyan };
}
