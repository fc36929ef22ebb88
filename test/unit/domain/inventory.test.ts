import { describe, expect, it } from 'vitest';
import {
  addressOf,
  findWorker,
  highestIdIn,
  nameFor,
  nextId,
  parseDestination,
  parseInventory,
  parseWorkerName,
  selectWorkers,
  withLastId,
  withoutWorker,
  withWorker,
  workerAt,
  workerNamed,
  type Worker,
} from '../../../src/domain/inventory.ts';

const KEY = `ssh-ed25519 ${'A'.repeat(68)}`;

function worker(fields: Partial<Worker> = {}): Worker {
  return {
    id: 2,
    name: 'one',
    host: '10.0.0.2',
    port: 22,
    user: 'root',
    identity: null,
    hostKey: KEY,
    jumps: [],
    ...fields,
  };
}

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('names', () => {
  it.each(['w1', 'worker-1.example', '北京一号', '🚀', '👩🏽‍💻', 'é', '日本_2', 'a'.repeat(64)])('takes %s', (name) => {
    expect(parseWorkerName(name)).toBe(name.normalize('NFC'));
  });

  it.each([
    '',
    'a"b',
    '$(reboot)',
    '../etc',
    '-oProxyCommand=id',
    'a b',
    'a\nb',
    '.',
    '..',
    'a.',
    '`id`',
    "a'b",
    'a;b',
    'a/b',
    '\u202Eabc',
    'a\0b',
    'a'.repeat(65),
  ])('refuses %j', (name) => {
    expect(thrown(() => parseWorkerName(name))).toMatchObject({ code: 'BAD_INPUT', exitCode: 2 });
  });
});

describe('destinations', () => {
  it.each([
    ['host', { user: null, host: 'host', port: null }],
    ['root@10.0.0.1:2222', { user: 'root', host: '10.0.0.1', port: 2222 }],
    ['admin@[fe80::1%eth0]:22', { user: 'admin', host: 'fe80::1%eth0', port: 22 }],
    ['::1', { user: null, host: '::1', port: null }],
    ['worker_1.example.com', { user: null, host: 'worker_1.example.com', port: null }],
  ])('reads %s', (text, parts) => {
    expect(parseDestination(text)).toEqual(parts);
  });

  it.each([
    '',
    '@h',
    '-oProxyCommand=id',
    'root@-oProxyCommand=id',
    '-l@host',
    '$(reboot)',
    'a b',
    'h:0',
    'h:x',
    'h:65536',
    'h:',
    'a/b',
    '北京',
    'root@',
    '[::1',
    'a\nb',
  ])('refuses %j', (text) => {
    expect(thrown(() => parseDestination(text))).toMatchObject({ code: 'BAD_INPUT' });
  });

  it('are shown as they are typed', () => {
    expect(addressOf({ user: 'root', host: '::1', port: 2222 })).toBe('root@[::1]:2222');
    expect(addressOf({ user: 'root', host: 'h', port: 22 })).toBe('root@h');
  });
});

describe('the file', () => {
  it('is written so that it reads the same, with comments of people and ids that are never given again', () => {
    const one = worker({ name: '一号🚀', identity: '/home/me/my key', jumps: [{ ...worker(), host: 'bastion' }] });
    const two = worker({ id: 3, name: 'two', host: 'h2', port: 2222, user: 'admin', hostKey: null });
    const file = withWorker(withWorker(null, one), two);
    expect(parseInventory(file, 'f').workers).toEqual(
      [one, two].map(({ ...each }) => ({ ...each, jumps: each.jumps.map(plain) })),
    );
    const commented = file.replace('- id: 3', '# mine\n  - id: 3');
    const changed = withWorker(commented, { ...one, port: 23 });
    expect(changed).toContain('# mine');
    const left = parseInventory(withoutWorker(changed, 3), 'f');
    expect(left.workers.map(({ port }) => port)).toEqual([23]);
    expect(nextId(left)).toBe(4);
    expect(nextId(parseInventory(null, 'f'))).toBe(2);
  });

  it.each([
    ['workers:\n  - id: 2\n    name: a\n    host: h\n    prot: 22\n', 5, 'did you mean "port"?'],
    ['workers:\n  - id: 2\n    name: "a\\"b"\n    host: h\n', 3, undefined],
    ['workers:\n  - id: 2\n    name: a\n    host: -oProxyCommand=id\n', 4, undefined],
    ['workers:\n  - {id: 2, name: a, host: h}\n  - {id: 3, name: A, host: i}\n', 3, undefined],
    ['workers:\n  - {id: 2, name: a, host: h}\n  - {id: 2, name: b, host: i}\n', 3, undefined],
    ['workers:\n  - {id: 2, name: a, host: h, port: 70000}\n', 2, undefined],
    ['workers:\n\t- id: 2\n', 2, undefined],
    ['workers: [', 1, undefined],
  ])('is refused with the line where a hand damaged it: %j', (text, line, hint) => {
    const error = thrown(() => parseInventory(text, '/p/inventory.yaml'));
    expect(error).toMatchObject({ code: 'BAD_CONFIG', exitCode: 2 });
    expect((error as Error).message).toContain(`/p/inventory.yaml, line ${line}:`);
    if (hint !== undefined) expect(error).toMatchObject({ details: { hint: { en: hint } } });
  });
});

describe('finding workers', () => {
  const inventory = {
    lastId: 4,
    workers: [worker(), worker({ id: 3, name: 'Two', host: 'eu-2' }), worker({ id: 4, name: '三', host: 'us-3' })],
  };
  const names = (patterns: string): string[] => selectWorkers(inventory, patterns).map(({ name }) => name);

  it('goes by name, id, host and pattern', () => {
    expect(findWorker(inventory, 'Two').id).toBe(3);
    expect(findWorker(inventory, '4').name).toBe('三');
    expect(findWorker(inventory, '10.0.0.2').name).toBe('one');
    expect(thrown(() => findWorker(inventory, 'four'))).toMatchObject({ code: 'USAGE' });
    expect(names('*')).toHaveLength(3);
    expect(names('eu-*,三')).toEqual(['Two', '三']);
    expect(names('!one')).toEqual(['Two', '三']);
    expect(thrown(() => names('x*'))).toMatchObject({ code: 'USAGE' });
    expect(workerNamed(inventory, 'ONE')?.id).toBe(2);
  });

  it('knows a server by the way there too', () => {
    expect(workerAt(inventory, { host: '10.0.0.2', port: 22, jumps: [] })?.name).toBe('one');
    expect(workerAt(inventory, { host: '10.0.0.2', port: 22, jumps: [{ host: 'b', port: 22 }] })).toBeUndefined();
    expect(workerAt(inventory, { host: '10.0.0.2', port: 23, jumps: [] })).toBeUndefined();
  });

  it('makes names of hosts that are free', () => {
    expect(nameFor('eu-9', inventory, [])).toBe('eu-9');
    expect(nameFor('two', inventory, [])).toBe('two-2');
    expect(nameFor('local', inventory, ['local'])).toBe('local-2');
    expect(nameFor('fe80::1', inventory, [])).toBe('fe80-1');
  });
});

function plain({ host, port, user, identity, hostKey }: Worker['jumps'][number]): Worker['jumps'][number] {
  return { host, port, user, identity, hostKey };
}

describe('ids that were given stay given', () => {
  const TEXT = '# mine\nworkers:\n  - id: 2\n    name: a\n    host: h # there\n';

  it('also where an older inventory is brought back', () => {
    const back = withLastId(TEXT, 7);
    expect(parseInventory(back, 'f').lastId).toBe(7);
    expect([back.startsWith('# mine\n'), back.includes('host: h # there')]).toEqual([true, true]);
    expect(withLastId(back, 3)).toBe(back);
    expect(nextId(parseInventory(back, 'f'))).toBe(8);
  });

  it('and are found in a damaged one', () => {
    expect(highestIdIn(`${TEXT}lastId: 12\n  - id: three\n\tname: "`)).toBe(12);
    expect(highestIdIn('workers: [')).toBe(0);
  });
});
