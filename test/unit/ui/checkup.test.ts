import { expect, test } from 'vitest';
import type { Finding } from '../../../src/domain/checkup.ts';
import { same } from '../../../src/domain/text.ts';
import { palette } from '../../../src/ui/colors.ts';
import { renderCheckup } from '../../../src/ui/checkup.ts';

const DOWN: Finding = {
  code: 'SERVICE_VERSION',
  check: 'services',
  host: 'main',
  grave: true,
  seen: same('agent runs v1.0.0, not v1.2.0'),
  why: same('tasks fail'),
  mend: same('xingrin start'),
};
const MISSING: Finding = { ...DOWN, code: 'WORKER_IMAGE_MISSING', check: 'image', seen: same('no image') };

function blocks(findings: readonly Finding[], columns = 80): string[] {
  return renderCheckup([], findings, columns, 'en', palette(false)).split('\n\n').slice(2, -1);
}

test('what is alike on one host is told line by line, and its reason once', () => {
  const other = { ...DOWN, seen: same('nginx runs v1.0.0, not v1.2.0') };
  expect(blocks([DOWN, other])).toEqual([
    [
      '✗ main: agent runs v1.0.0, not v1.2.0',
      '  nginx runs v1.0.0, not v1.2.0',
      '  why   tasks fail',
      '  mend  xingrin start',
    ].join('\n'),
  ]);
  expect(blocks([DOWN, { ...other, mend: same('xingrin update') }])).toHaveLength(2);
});

test('the same on several hosts is told once, with what mends it on each', () => {
  const hosts = ['w1', 'w2', 'w3', 'w4'].map((host) => ({ ...MISSING, host, mend: same(`mend ${host}`) }));
  expect(blocks(hosts)).toEqual([
    [
      '✗ w1, w2, w3, w4: no image',
      '  why   tasks fail',
      '  mend  mend w1',
      '        mend w2',
      '        mend w3',
      '        …',
    ].join('\n'),
  ]);
});

test('nothing is wider than the terminal', () => {
  const long = { ...DOWN, seen: same('seen '.repeat(30).trim()), mend: same('type '.repeat(30).trim()) };
  for (const line of blocks([long], 40).join('\n').split('\n')) expect(line.length).toBeLessThanOrEqual(40);
});
