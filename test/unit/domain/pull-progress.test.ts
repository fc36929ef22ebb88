import { expect, test } from 'vitest';
import { pullMeter, type PullMessage } from '../../../src/domain/pull-progress.ts';

const begun = (id: string): PullMessage => ({ id, status: 'Pulling fs layer', progressDetail: {} });
const loading = (id: string, current: number, total: number): PullMessage => ({
  id,
  status: 'Downloading',
  progressDetail: { current, total },
});

test('bytes of all layers, and how many there are once every layer has said so', () => {
  const measure = pullMeter();
  expect(measure({ id: 'v1.2.0', status: 'Pulling from team/server' })).toEqual({ done: 0 });
  measure({ id: 'a', status: 'Already exists', progressDetail: {} });
  measure(begun('b'));
  expect(measure(begun('c'))).toEqual({ done: 0 });
  expect(measure(loading('b', 10, 100))).toEqual({ done: 10 });
  expect(measure(loading('c', 5, 50))).toEqual({ done: 15, total: 150 });
  expect(measure({ id: 'b', status: 'Verifying Checksum', progressDetail: {} })).toEqual({ done: 105, total: 150 });
  // What is unpacked is told in bytes of another kind.
  expect(measure({ id: 'b', status: 'Extracting', progressDetail: { current: 7, total: 300 } })).toEqual({
    done: 105,
    total: 150,
  });
  expect(measure({ id: 'c', status: 'Download complete', progressDetail: {} })).toEqual({ done: 150, total: 150 });
  expect(measure({ status: 'Digest: sha256:abc' })).toEqual({ done: 150, total: 150 });
});

test('a layer too small to be told on its way has no bytes to wait for; one that begins anew has none yet', () => {
  const measure = pullMeter();
  measure(begun('a'));
  expect(measure({ id: 'a', status: 'Pull complete', progressDetail: {} })).toEqual({ done: 0, total: 0 });
  measure(loading('b', 60, 50));
  expect(measure(loading('b', 3, 50))).toEqual({ done: 3, total: 50 });
});
