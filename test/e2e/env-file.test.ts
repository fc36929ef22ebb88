import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it, onTestFinished } from 'vitest';
import { envValue, parseEnvFile, setEnvValues } from '../../src/domain/env-file.ts';

/** What Compose gives a container, through `${KEY}` in the compose file and through `env_file`. Needs no engine. */
async function composed(text: string, keys: readonly string[]): Promise<{ interpolated: Values; fromFile: Values }> {
  const folder = await mkdtemp(join(tmpdir(), 'xingrin-env-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = {
    name: 'env-file-test',
    services: {
      interpolated: { image: 'none', environment: Object.fromEntries(keys.map((key) => [key, `\${${key}}`])) },
      fromFile: { image: 'none', env_file: ['.env'] },
    },
  };
  await writeFile(join(folder, '.env'), text);
  await writeFile(join(folder, 'compose.json'), JSON.stringify(file));
  const { stdout } = await execa('docker', ['compose', '-f', 'compose.json', 'config', '--format', 'json'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    extendEnv: false,
  });
  const { services } = JSON.parse(stdout) as { services: Record<string, { environment: Values }> };
  return { interpolated: plain(services['interpolated']), fromFile: plain(services['fromFile']) };
}

type Values = Record<string, string>;

/** `config` prints what would have to be written in a compose file: with every `$` doubled. */
function plain(service: { environment: Values } | undefined): Values {
  const entries = Object.entries(service?.environment ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, value.replaceAll('$$', '$')]));
}

const HARD_VALUES = [
  '',
  'plain',
  'two words',
  ' space around ',
  '\ttab\t',
  'a#b',
  'a #b',
  '#a',
  "it's",
  'say "x"',
  `'both' "kinds"`,
  '"',
  "'",
  '$HOME',
  '${HOME}',
  '${HOME:-x}',
  '$$',
  'a$',
  '$1$',
  '\\',
  'a\\',
  '\\n',
  '\\\\"',
  '\\$X',
  'C:\\new\\table',
  '&|/;<>()`!*?~',
  'a=b=c',
  '=',
  'line\nline',
  'line\r\nline\n',
  '\n',
  '{"json": ["$a", "\\"b\\""]}',
  '密码 пароль ü 🔑',
  '%s %d %%',
  '-----BEGIN KEY-----\nAb+/=\n-----END KEY-----\n',
  '__IMAGE_TAG__',
  'e printf x > /tmp/x',
  '\\0101',
];

it('gives the container exactly the value that was set', async () => {
  const wanted = Object.fromEntries(HARD_VALUES.map((value, index) => [`KEY_${index}`, value]));
  const before = `\ufeff# words $X "\r\n${HARD_VALUES.map((_value, index) => `KEY_${index}='old $x' # note`).join('\r\n')}`;
  for (const text of ['', before]) {
    const { interpolated, fromFile } = await composed(setEnvValues(text, '.env', wanted), Object.keys(wanted));
    expect(interpolated).toEqual(wanted);
    expect(fromFile).toEqual(wanted);
  }
});

it('reads a file as Compose reads it', async () => {
  const text = [
    '\ufeff# comment',
    'A= # words',
    'B=x$1 y$ z',
    'C="a" # b',
    'D=a\t#b',
    "E='it\\'s \\\\ $A'",
    'F="\\0101 \\07 \\0377 \\0400 \\c \\q \\t|\\a\\v"',
    'G=${C:-d}${Z:-e} {f}',
    'H=${Z-{x}} $$y',
    'export I = v # c',
    'J: w\r',
    'K=\r',
    'L="two',
    '  lines"   ',
    'M=${Z:-${C}-${Y-y}}${C:+set}${Z+unset}',
    "N='${C}'",
    'O=a  b   ',
    'P=http://x/#y?a=b&c',
    'W=1',
    'W=2',
    'Q=$C ${C}s $Cs',
    'R=${Z:-{}',
    'S="\\"',
    '"',
    '   T=\u00a0x\u00a0',
    'U="a\\',
    'b"',
    'V.w-x=1',
  ].join('\n');
  const file = parseEnvFile(text, '.env');
  const keys = [...new Set(file.entries.map(({ key }) => key))];
  const read = Object.fromEntries(keys.map((key) => [key, envValue(file, key)]));
  const { fromFile, interpolated } = await composed(
    text,
    keys.filter((key) => /^\w+$/.test(key)),
  );
  expect(read).toEqual(fromFile);
  expect(read).toMatchObject(interpolated);
});
