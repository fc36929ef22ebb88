// Every check and every test, and at the end where their time went: what scripts/test.sh runs. `--write` puts that into
// docs/performance.md too.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAccounting, watchProcessors } from './accounting.ts';
import { renderProof, type FileTime } from './table.ts';

const PAGE = 'docs/performance.md';
const [BEGIN, END] = ['<!-- proof: written by ./scripts/test.sh --write -->', '<!-- end of proof -->'];

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const folder = mkdtempSync(join(tmpdir(), 'xingrin-proof-'));
const timings = join(folder, 'timings.json');
const parts: { part: string; duration: number }[] = [];

await main();

async function main(): Promise<void> {
  // When scripts/test.sh began, in seconds.
  const began = Number(process.env['XINGRIN_PROOF_BEGAN'] ?? Date.now() / 1_000) * 1_000;
  const processors = watchProcessors();
  const accounting = await startAccounting(folder);
  parts.push({ part: 'packages and build', duration: Date.now() - began });

  const reporters = ['--reporter=default', '--reporter=./test/proof/timings.ts'];
  const status =
    (await npm('gate and unit tests', ['run', 'check'])) ||
    (await npm('end-to-end tests', ['run', 'test:e2e', '--', ...reporters]));

  const programs = 'missing' in accounting ? accounting.missing : accounting.stop();
  const text = renderProof({ parts, files: fileTimes(), programs, load: processors.stop() });
  rmSync(folder, { recursive: true });
  process.stdout.write(`\n${text}`);
  if (process.argv.includes('--write') && status === 0) write(text);
  process.exitCode = status;
}

async function npm(part: string, args: readonly string[]): Promise<number> {
  const start = Date.now();
  const child = spawn('npm', args, { stdio: 'inherit', env: { ...process.env, XINGRIN_TIMINGS: timings } });
  // Ctrl-C ends what runs, and is no reason to leave the accounting on.
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of SIGNALS) process.on(signal, pass);
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => resolve(exitCode ?? 1));
  });
  for (const signal of SIGNALS) process.off(signal, pass);
  parts.push({ part, duration: Date.now() - start });
  return code;
}

/** Nothing where the end-to-end tests did not come to their end. */
function fileTimes(): FileTime[] {
  return existsSync(timings) ? (JSON.parse(readFileSync(timings, 'utf8')) as FileTime[]) : [];
}

/** Replaces the section of an earlier run, or adds one. */
function write(text: string): void {
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim();
  const [processor] = cpus();
  const when = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} × ${processor?.model.trim()}, Node ${process.versions.node}`;
  const section = `${BEGIN}\n\n## All tests\n\n${when}, commit ${commit}, ${machine}.\n\n${text}\n${END}`;
  const page = existsSync(PAGE) ? readFileSync(PAGE, 'utf8') : '# Performance\n';
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  const changed =
    from < 0 || to < 0
      ? `${page.trimEnd()}\n\n${section}\n`
      : page.slice(0, from) + section + page.slice(to + END.length);
  writeFileSync(PAGE, changed);
}
