/** Milliseconds of silence before anything is shown, and between two pictures. */
const SILENCE = 1_000;
const PICTURE = 100;
const MARKS = [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'];
const ERASE = '\r\u001B[2K';

/** There is one terminal, and at most one such line on it. */
let begun: { readonly words: string; readonly at: number } | null = null;
let shown = false;
let asking = false;

/**
 * Says on the terminal, in a line that goes again, what is going on while `work` goes on and nothing else is written.
 *
 * @param words in the terminal's language, short
 */
export async function whileWaiting<T>(words: string, work: () => Promise<T>): Promise<T> {
  if (begun !== null) return work();
  begun = { words, at: performance.now() };
  const timer = setInterval(draw, PICTURE);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    eraseWaiting();
    begun = null;
  }
}

/** Before anything else is written: the line goes, and comes back below if the work goes on. */
export function eraseWaiting(): void {
  if (shown) process.stderr.write(ERASE);
  shown = false;
}

/** While somebody is asked, the screen is the question's. */
export async function withoutWaiting<T>(ask: () => Promise<T>): Promise<T> {
  eraseWaiting();
  asking = true;
  try {
    return await ask();
  } finally {
    asking = false;
  }
}

function draw(): void {
  if (begun === null || asking) return;
  const passed = performance.now() - begun.at;
  if (passed < SILENCE) return;
  const mark = MARKS[Math.floor(passed / PICTURE) % MARKS.length] ?? '';
  process.stderr.write(`${ERASE}${mark} ${begun.words} ${Math.floor(passed / 1_000)} s`);
  shown = true;
}
