import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import type { FileTime } from './table.ts';

/** A reporter: how long each file (hooks and all) and each test took, as JSON in the file that XINGRIN_TIMINGS names. */
export default class Timings implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const target = process.env['XINGRIN_TIMINGS'];
    if (target === undefined) return;
    const files: FileTime[] = modules.map((module) => ({
      file: relative(process.cwd(), module.moduleId),
      duration: durationOf(module),
      tests: [...module.children.allTests()].map((test) => ({
        name: test.fullName,
        duration: test.diagnostic()?.duration ?? 0,
      })),
    }));
    writeFileSync(target, JSON.stringify(files));
  }
}

function durationOf(module: TestModule): number {
  const { environmentSetupDuration, prepareDuration, collectDuration, setupDuration, duration } = module.diagnostic();
  return environmentSetupDuration + prepareDuration + collectDuration + setupDuration + duration;
}
