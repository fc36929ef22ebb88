import { describe, expect, test } from 'vitest';
import { sourcesOfRelease } from '../../../src/domain/apt-sources.ts';

const list = (text: string) => ({ path: '/etc/apt/sources.list', text });
const deb822 = (text: string) => ({ path: '/etc/apt/sources.list.d/debian.sources', text });
const next = (...files: { path: string; text: string }[]) => sourcesOfRelease(files, 'bookworm', 'trixie')?.text;

describe('one source a line', () => {
  test('keeps address and options, takes the main archive only', () => {
    const text = `# deb http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/security bookworm-security main
deb [signed-by=/usr/share/keyrings/a.gpg arch=amd64] http://mirror.example/debian bookworm main contrib # ours
`;
    expect(next(list(text))).toBe(
      'deb [signed-by=/usr/share/keyrings/a.gpg arch=amd64] http://mirror.example/debian trixie main\n',
    );
  });

  test('passes over sources of others that use the same suite', () => {
    const text = 'deb https://other.example/linux bookworm stable\ndeb http://mirror.example/debian bookworm main\n';
    expect(next(list(text))).toBe('deb http://mirror.example/debian trixie main\n');
  });
});

describe('stanzas', () => {
  test('keeps address and key, without comments', () => {
    const text = `Types: deb
# a comment in between
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;
    expect(next(deb822(text))).toBe(`Types: deb
Suites: trixie
Components: main
URIs: http://mirror.example/debian
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`);
  });

  test('keeps a key that is written out, and passes over what is switched off', () => {
    const key = 'Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----';
    const off = 'Types: deb\nEnabled: no\nURIs: http://off.example\nSuites: bookworm\nComponents: main\n';
    const on = `Types: deb deb-src\nURIs: http://on.example\nSuites: bookworm\nComponents: main\n${key}\n`;
    expect(next(deb822(`${off}\n${on}`))).toBe(
      `Types: deb\nSuites: trixie\nComponents: main\nURIs: http://on.example\n${key}\n`,
    );
  });
});

test('looks through all files, and tells when none has it', () => {
  expect(
    next(list('# nothing\n'), deb822('Types: deb\nURIs: http://a\nSuites: bookworm\nComponents: main\n')),
  ).toContain('trixie');
  expect(next(list(''), deb822(''))).toBeUndefined();
});
