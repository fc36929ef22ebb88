import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesFreed,
  choosePrunable,
  choosePrunableRecords,
  layerSizes,
  type HostContainer,
  type HostImage,
  type PruneRules,
} from '../../../src/domain/prunable.ts';
import { newTaskRecord, type TaskRecord } from '../../../src/domain/task.ts';
import { parseVersion } from '../../../src/domain/version.ts';

const v = (text: string) => parseVersion(text, 'test');
const RULES: PruneRules = {
  project: 'shop',
  repositories: ['yyhuni', 'registry.example.com/team'],
  images: ['xingrin-server', 'xingrin-worker'],
  current: v('v1.3.0'),
  versions: [v('v1.3.0'), v('v1.2.0')],
  imageIds: ['sha256:kept'],
  references: ['yyhuni/xingrin-worker:v0.5.0'],
  tasksBefore: '2026-01-08T00:00:00Z',
};

function image(id: string, tags: readonly string[], more: Partial<HostImage> = {}): HostImage {
  return { id, tags, digests: [], labels: {}, layers: [`${id} a`], ...more };
}

function container(of: string, more: Partial<HostContainer> = {}): HostContainer {
  return {
    id: `container of ${of}`,
    name: 'c',
    reference: of,
    image: of,
    labels: {},
    state: 'running',
    finished: '0001-01-01T00:00:00Z',
    ...more,
  };
}

const chosen = (images: HostImage[], containers: HostContainer[] = []): string[] =>
  choosePrunable(images, containers, RULES).images.map(({ image: { id } }) => id);

describe('an image goes', () => {
  test.each([
    ['an old version', image('x', ['yyhuni/xingrin-server:v1.1.0'])],
    [
      'an old version under two places of ours',
      image('x', ['yyhuni/xingrin-worker:v1.0.0', 'registry.example.com/team/xingrin-worker:v1.0.0']),
    ],
    ['an old test release', image('x', ['yyhuni/xingrin-server:v1.3.0-dev.2'])],
    ['one that a moved image tag left', image('x', [], { digests: ['yyhuni/xingrin-server@sha256:'.padEnd(93, 'a')] })],
    [
      'an old build of ours',
      image('x', ['shop-server:v1.2.0-dev'], { labels: { 'com.docker.compose.project': 'shop' } }),
    ],
    ['a build that lost its name', image('x', [], { labels: { 'com.docker.compose.project': 'shop' } })],
  ])('that is %s', (_what, each) => {
    expect(chosen([each])).toEqual(['x']);
  });
});

describe('an image stays', () => {
  test.each([
    ['of the version in force', image('x', ['yyhuni/xingrin-server:v1.3.0'])],
    ['of the deployment before', image('x', ['yyhuni/xingrin-server:v1.2.0'])],
    ['that is newer', image('x', ['yyhuni/xingrin-server:v1.4.0'])],
    ['that a kept deployment ran, whatever it is called now', image('sha256:kept', ['yyhuni/xingrin-server:v1.0.0'])],
    ['that tasks are told to run', image('x', ['yyhuni/xingrin-worker:v0.5.0'])],
    ['of somebody else under the same name', image('x', ['somebody/xingrin-server:v1.0.0'])],
    ['of ours that is not in the matrix', image('x', ['yyhuni/xingrin-tool:v1.0.0'])],
    ['below ours', image('x', ['yyhuni/xingrin-server/more:v1.0.0'])],
    ['with no version', image('x', ['yyhuni/xingrin-server:latest'])],
    ['with one more name', image('x', ['yyhuni/xingrin-server:v1.0.0', 'mine:1'])],
    ['without any name that is not ours', image('x', [])],
    ['with a name that cannot be read', image('x', ['<none>:<none>'])],
    [
      'that was built here for now',
      image('x', ['shop-server:v1.3.0-dev'], { labels: { 'com.docker.compose.project': 'shop' } }),
    ],
    [
      'that another project built',
      image('x', ['shop-server:v1.0.0-dev'], { labels: { 'com.docker.compose.project': 'docker' } }),
    ],
  ])('%s', (_what, each) => {
    expect(chosen([each])).toEqual([]);
  });

  test('while any container has it, running or not', () => {
    const old = image('x', ['yyhuni/xingrin-server:v1.0.0']);
    expect(chosen([old], [container('x')])).toEqual([]);
    expect(chosen([old], [container('x', { state: 'created' })])).toEqual([]);
    expect(chosen([old], [container('y')])).toEqual(['x']);
  });
});

describe('the container of a task', () => {
  const labels = { 'xingrin.task': 't1', 'xingrin.project': 'shop' };
  const ended = container('x', { labels, state: 'exited', finished: '2026-01-07T23:59:59Z' });
  const old = image('x', ['yyhuni/xingrin-worker:v1.0.0']);

  test('goes some days after its end, and its old image with it', () => {
    const found = choosePrunable([old], [ended], RULES);
    expect(found.containers).toEqual([ended]);
    expect(found.images).toHaveLength(1);
  });

  test.each([
    ['it ended lately', { finished: '2026-01-08T00:00:01Z' }],
    ['it runs', { state: 'running' }],
    ['it is of another project', { labels: { ...labels, 'xingrin.project': 'docker' } }],
    ['it is no task', { labels: { 'xingrin.project': 'shop' } }],
  ])('stays with its image while %s', (_what, more) => {
    expect(choosePrunable([old], [{ ...ended, ...more }], RULES)).toMatchObject({ containers: [], images: [] });
  });
});

describe('bytes', () => {
  const sizes: Record<string, number[]> = { a: [10, 1], b: [10, 2], c: [10, 1, 5] };
  const of = (each: HostImage): number[] | null => sizes[each.id] ?? null;
  const a = image('a', [], { layers: ['base', 'x'] });
  const b = image('b', [], { layers: ['base', 'y'] });
  const c = image('c', [], { layers: ['base', 'x', 'z'] });

  test('are those of layers that no other image has, each once', () => {
    expect(bytesFreed([a], [a, b, c], of)).toBe(0);
    expect(bytesFreed([c], [a, b, c], of)).toBe(5);
    expect(bytesFreed([a, c], [a, b, c], of)).toBe(6);
    expect(bytesFreed([a, b, c], [a, b, c], of)).toBe(18);
  });

  test('the same layer on top of others is another one', () => {
    const other = image('b', [], { layers: ['y', 'base'] });
    expect(bytesFreed([a], [a, other], of)).toBe(11);
  });

  test('never exceed the whole, and come to it when everything goes', () => {
    const layers = fc.array(fc.constantFrom('p', 'q', 'r'), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(layers, { maxLength: 6 }), fc.array(fc.boolean(), { maxLength: 6 }), (stacks, picks) => {
        const all = stacks.map((each, index) => image(String(index), [], { layers: each }));
        const one = (each: HostImage): number[] => each.layers.map(() => 1);
        const whole = bytesFreed(all, all, one);
        const part = all.filter((_each, index) => picks[index] === true);
        const rest = all.filter((each) => !part.includes(each));
        expect(bytesFreed(part, all, one)).toBe(whole - bytesFreed(rest, rest, one));
      }),
    );
  });

  test('of layers come from a history that also has steps without a layer', () => {
    expect(layerSizes([0, 7, 0, 5], 2)).toEqual([5, 7]);
    expect(layerSizes([0, 7, 0, 5], 3).reduce((sum, each) => sum + each, 0)).toBe(12);
    expect(layerSizes([7, 5], 2)).toEqual([5, 7]);
  });
});

describe('the record of a task', () => {
  const record = (more: Partial<TaskRecord> = {}): TaskRecord => {
    const spec = { id: 't', mark: 'm', project: 'shop', image: 'i', args: [] };
    const made = newTaskRecord(
      { ...spec, env: [] } as Parameters<typeof newTaskRecord>[0],
      { id: 2, name: 'w' },
      new Date('2026-01-01T00:00:00Z'),
    );
    return { ...made, end: { code: 0, at: '2026-01-07T00:00:00Z' }, ...more };
  };
  const goes = (each: TaskRecord, hosts: [number, readonly string[] | null][] = [[2, []]]): boolean =>
    choosePrunableRecords([each], new Map(hosts), RULES).length === 1;

  test('goes when it is over for long and nothing is left of it, wherever it was', () => {
    expect(goes(record())).toBe(true);
    expect(goes(record(), [[2, ['other']]])).toBe(true);
    expect(goes(record({ end: null }))).toBe(true);
    // Its host is no worker any more.
    expect(goes(record(), [])).toBe(true);
  });

  test('stays while it may be asked for', () => {
    expect(goes(record({ end: { code: 0, at: '2026-01-09T00:00:00Z' } }))).toBe(false);
    expect(goes(record(), [[2, ['t']]])).toBe(false);
    expect(goes(record(), [[2, null]])).toBe(false);
    expect(goes(record({ project: 'other' }))).toBe(false);
    // It may be about to start.
    expect(goes(record({ end: null, sent: '2026-01-07T12:00:00Z' }))).toBe(false);
  });
});
