import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UserError } from '../../../src/domain/errors.ts';
import { parseProjectName, projectNameOf, renderTemplate, templateEntries } from '../../../src/domain/template.ts';

const PACKAGE = join(import.meta.dirname, '../../..');
const FOLDER = join(PACKAGE, 'templates/project');
const VALUES = { PROJECT: 'shop', XINGRIN_VERSION: '1.2.3' };

describe('templateEntries', () => {
  test('lists exactly what the templates folder holds, and the control plane that is built', () => {
    const files = readdirSync(FOLDER, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(PACKAGE, join(entry.parentPath, entry.name)))
      .concat('dist/server.mjs');
    expect(templateEntries().map((entry) => entry.source)).toHaveLength(files.length);
    expect(new Set(templateEntries().map((entry) => entry.source))).toEqual(new Set(files));
  });

  test('holds no name that npm would leave out of a package', () => {
    expect(templateEntries().filter(({ source }) => /(^|\/)(\.gitignore|\.npmignore|\.npmrc)$/.test(source))).toEqual(
      [],
    );
    expect(templateEntries()).toContainEqual({
      source: 'templates/project/gitignore',
      target: '.gitignore',
      filled: true,
      mode: 0o644,
    });
  });

  test('makes scripts executable and nothing else', () => {
    for (const { target, mode } of templateEntries()) expect(mode, target).toBe(target.endsWith('.sh') ? 0o755 : 0o644);
  });
});

describe('renderTemplate', () => {
  test('puts values in wherever their placeholder stands', () => {
    expect(renderTemplate('@@PROJECT@@-server and @@PROJECT@@, by @@XINGRIN_VERSION@@', VALUES)).toBe(
      'shop-server and shop, by 1.2.3',
    );
  });

  test('takes values literally, also those that look like a pattern or a placeholder', () => {
    const values = { PROJECT: "$& $1 $' @@XINGRIN_VERSION@@", XINGRIN_VERSION: '1' };
    expect(renderTemplate('[@@PROJECT@@]', values)).toBe("[$& $1 $' @@XINGRIN_VERSION@@]");
  });

  test('leaves what other programs substitute', () => {
    const text = '${IMAGE_TAG:?is empty} ${{ matrix.image }} %IMAGE_TAG% $host @@lower@@';
    expect(renderTemplate(text, VALUES)).toBe(text);
  });

  test.each(['UNKNOWN', 'constructor', 'PROJECT_'])('refuses the placeholder %s', (name) => {
    const text = `@@${name.toUpperCase()}@@`;
    expect(() => renderTemplate(text, VALUES)).toThrow(`no value for ${text}`);
  });
});

describe('project names', () => {
  test.each([
    ['shop', 'shop'],
    ['My Shop', 'my-shop'],
    ['Neu.x', 'neu-x'],
    ['__a__', 'a'],
    ['-_-', 'xingrin'],
    ['星环', 'xingrin'],
    ['', 'xingrin'],
    ['/', 'xingrin'],
    [`${'a'.repeat(62)}.b`, 'a'.repeat(62)],
    ['x'.repeat(300), 'x'.repeat(63)],
  ])('the folder %j gives %j', (folder, name) => {
    expect(projectNameOf(folder)).toBe(name);
    expect(parseProjectName(name)).toBe(name);
  });

  test.each(['', 'Shop', '-a', 'a-', 'a_-b', 'a b', 'a\n', '$(id)', 'a.b', 'x'.repeat(64)])('%j is refused', (name) => {
    expect(() => parseProjectName(name)).toThrow(UserError);
  });
});
