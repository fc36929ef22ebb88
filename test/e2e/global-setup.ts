import { BASE_IMAGES, prepareBaseImages } from '../../src/sandbox/base-images.ts';
import { sweep } from '../../src/sandbox/records.ts';
import { prepareMachine } from './prepare.ts';

/**
 * Runs once before all end-to-end tests. Every test file opens a sandbox of its own; what they share is the cache of base images, filled here
 * so that files that run side by side do not fill it twice.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await prepareMachine();
  await sweep();
  await prepareBaseImages(BASE_IMAGES);
  return async () => {
    await sweep();
  };
}
