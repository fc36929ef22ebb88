/**
 * Whether a name fits a pattern in which `*` stands for any characters and `?` for one. Everything else stands for itself. Takes
 * time in proportion to both lengths, whatever the pattern.
 */
export function fitsGlob(pattern: string, name: string): boolean {
  const wanted = [...pattern];
  const found = [...name];
  let [at, star, resume] = [0, -1, 0];
  for (let index = 0; index < found.length;) {
    if (wanted[at] === '*') {
      star = at;
      resume = index;
      at += 1;
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === found[index])) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      resume += 1;
      index = resume;
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((character) => character === '*');
}

/** Whether a name fits a list of patterns: at least one, and none that begins with `!`. */
export function fitsGlobs(patterns: readonly string[], name: string): boolean {
  const refused = patterns.some((pattern) => pattern.startsWith('!') && fitsGlob(pattern.slice(1), name));
  return !refused && patterns.some((pattern) => !pattern.startsWith('!') && fitsGlob(pattern, name));
}
