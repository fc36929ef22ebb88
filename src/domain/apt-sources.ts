/** A file below /etc/apt that names package sources; those ending in `.sources` have deb822 stanzas, others one source a line. */
export interface SourcesFile {
  readonly path: string;
  readonly text: string;
}

/**
 * Finds the machine's own main package source and rewrites it for another release of the same distribution: same address, same
 * keys, other suite.
 *
 * @param files in the order in which apt reads them
 * @param from suite of this machine: `bookworm`
 * @param to suite wanted: `trixie`
 * @returns null where no file names the suite; `path` is the file it was taken from
 */
export function sourcesOfRelease(files: readonly SourcesFile[], from: string, to: string): SourcesFile | null {
  for (const { path, text } of files) {
    const rewritten = path.endsWith('.sources') ? rewriteStanzas(text, from, to) : rewriteLines(text, from, to);
    if (rewritten !== null) return { path, text: rewritten };
  }
  return null;
}

function rewriteLines(text: string, from: string, to: string): string | null {
  for (const line of text.split(/\r?\n/)) {
    const [, options = '', address, suite, components = ''] =
      /^\s*deb\s+(\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line) ?? [];
    if (address === undefined || suite !== from) continue;
    if (components.split(/\s+/).includes('main')) return `deb ${options}${address} ${to} main\n`;
  }
  return null;
}

function rewriteStanzas(text: string, from: string, to: string): string | null {
  const stanzas = text
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .split(/\n\s*\n/);
  for (const stanza of stanzas) {
    const words = (field: string): string[] => fieldOf(stanza, field).split(/\s+/).filter(Boolean);
    if (!words('Types').includes('deb') || !words('Suites').includes(from) || !words('Components').includes('main'))
      continue;
    if (words('Enabled')[0]?.toLowerCase() === 'no') continue;
    const kept = ['URIs', 'Signed-By', 'Architectures', 'Trusted']
      .map((field) => [field, fieldOf(stanza, field)] as const)
      .filter(([, value]) => value.trim() !== '')
      .map(([field, value]) => `${field}:${value}`);
    return ['Types: deb', `Suites: ${to}`, 'Components: main', ...kept].join('\n') + '\n';
  }
  return null;
}

/** The value of a field with its continuation lines, as it stands. */
function fieldOf(stanza: string, field: string): string {
  const lines = stanza.split('\n');
  const start = lines.findIndex((line) => line.toLowerCase().startsWith(`${field.toLowerCase()}:`));
  if (start === -1) return '';
  const end = lines.findIndex((line, index) => index > start && !/^[ \t]/.test(line));
  const value = lines.slice(start, end === -1 ? undefined : end).join('\n');
  return value.slice(field.length + 1);
}
