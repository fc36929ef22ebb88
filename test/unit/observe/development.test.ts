import { expect, test } from 'vitest';
import { straysOf, withoutWorker } from '../../../src/observe/development.ts';

test('what has a container and takes no part has to go when the mode changes', () => {
  const containers = ['nginx', 'frontend', 'server', 'server', 'tool'].map((service) => ({ service }));
  expect(straysOf(containers, ['nginx', 'server', 'agent'])).toEqual(['frontend', 'tool']);
  expect(straysOf([], ['nginx'])).toEqual([]);
});

test('the image for tasks is built, not run', () => {
  const services = { server: { image: 'shop-server:v1.0.0-dev' }, worker: { image: 'docker-worker:v1.0.0-dev' } };
  expect(Object.keys(withoutWorker({ name: 'shop', services }).services)).toEqual(['server']);
});
