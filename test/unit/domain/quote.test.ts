import { expect, it } from 'vitest';
import { quoted } from '../../../src/domain/quote.ts';

it.each([
  ['v1.2', '"v1.2"'],
  ['a\nb\0', '"a\\nb\\u{0}"'],
  ['say "x" \\', '"say \\"x\\" \\\\"'],
  ['\u202eabc\ufeff', '"\\u{202e}abc\\u{feff}"'],
  ['版本', '"版本"'],
  ['x'.repeat(41), `"${'x'.repeat(40)}…"`],
  ['\ud800', '"\\u{d800}"'],
])('shows %j as %s', (text, shown) => expect(quoted(text)).toBe(shown));
