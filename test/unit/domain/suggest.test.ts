import { expect, it } from 'vitest';
import { nearest } from '../../../src/domain/suggest.ts';

const words = ['images', 'hooks', 'health', 'repository', 'mainBranch'];

it.each([
  ['image', 'images'],
  ['imgaes', 'images'],
  ['helath', 'health'],
  ['Health', 'health'],
  ['main-branch', 'mainBranch'],
  ['mainbranch', 'mainBranch'],
  ['repositry', 'repository'],
  ['tokens', null],
  ['', null],
  ['x'.repeat(10_000), null],
])('%s means %s', (word, meant) => expect(nearest(word, words)).toBe(meant));
