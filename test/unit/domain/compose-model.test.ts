import { describe, expect, it } from 'vitest';
import { nameInFile, switchWaves, type ComposeModel } from '../../../src/domain/compose-model.ts';

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

describe('waves', () => {
  const on = (...names: string[]) => Object.fromEntries(names.map((name) => [name, {}]));
  const model: ComposeModel = {
    name: 'shop',
    services: {
      nginx: { depends_on: on('server'), ports: [{ published: '443' }] },
      server: { depends_on: on('redis') },
      redis: {},
      frontend: {},
      agent: { depends_on: on('server') },
      door: { ports: [{ published: 80 }] },
    },
  };

  it('put side by side what does not depend on each other, and the doors last, one by one', () => {
    expect(switchWaves(model, Object.keys(model.services))).toEqual([
      ['frontend', 'redis'],
      ['server'],
      ['agent'],
      ['door'],
      ['nginx'],
    ]);
  });

  it('do not wait for what takes no part', () => {
    expect(switchWaves(model, ['nginx', 'server', 'frontend'])).toEqual([['frontend', 'server'], ['nginx']]);
    expect(switchWaves(model, [])).toEqual([]);
  });

  it('bring a published port before what depends on it', () => {
    const other: ComposeModel = {
      name: 'shop',
      services: { db: { ports: [{ published: '5432' }] }, app: { depends_on: on('db') } },
    };
    expect(switchWaves(other, ['app', 'db'])).toEqual([['db'], ['app']]);
  });

  it('end where services depend on each other', () => {
    const circle: ComposeModel = { name: 'x', services: { a: { depends_on: on('b') }, b: { depends_on: on('a') } } };
    expect(switchWaves(circle, ['a', 'b'])).toEqual([['a'], ['b']]);
  });
});
