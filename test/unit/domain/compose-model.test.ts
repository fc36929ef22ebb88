import { expect, it } from 'vitest';
import { nameInFile } from '../../../src/domain/compose-model.ts';

it.each([
  ["name: 'xingrin'\nservices: {}\n", 'xingrin'],
  ['# none\nservices: {web: {name: web}}\n', null],
  ['x-a: &a {b: c}\nname: "${NAME:-it}"\nservices: {web: {<<: *a}}\n', '${NAME:-it}'],
  ['name: ""\n', null],
  ['name: 7\n', null],
  ['name: [a]\n', null],
  ['- name: a\n', null],
  ['name', null],
  ['', null],
  ['name: a\nname: b\n: : {', 'a'],
])('the name in %j is %j', (yaml, name) => {
  expect(nameInFile(yaml)).toBe(name);
});
