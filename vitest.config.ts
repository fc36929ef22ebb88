import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { defineConfig } from 'vitest/config';

/** Those that take minutes, so that none of them is begun when all others have ended. */
const LONG = [
  'publish',
  'deploy-kill',
  'fleet',
  'deploy',
  'dev',
  'xingrin-like',
  'worker-faults',
  'task',
  'agent-swap',
  'prune',
  'install-docker',
  'deploy-faults',
  'demo',
  'private-registry',
  'release',
];

/** Milliseconds. How long a test takes depends on the machine by a factor of three; this ends what hangs. */
const HANGS = 1_800_000;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONG.findIndex((name) => moduleId.endsWith(`/e2e/${name}.test.ts`));
      return found < 0 ? LONG.length : found;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], environment: 'node', testTimeout: 60_000 } },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: ['./test/e2e/global-setup.ts'],
          testTimeout: HANGS,
          hookTimeout: HANGS,
          maxWorkers: 3,
        },
      },
      {
        // To be read by somebody: what every command looks like in a terminal. TOUR=FOLDER keeps the recordings.
        test: {
          name: 'tour',
          include: ['test/tour/**/*.test.ts'],
          globalSetup: ['./test/e2e/global-setup.ts'],
          testTimeout: HANGS,
          hookTimeout: HANGS,
        },
      },
    ],
  },
});
