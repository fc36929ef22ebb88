// How long `xingrin --version` and `xingrin --help` take, against a bare `node -e 0` in the same run, in turns.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROUNDS = 60;
const ENTRY = fileURLToPath(new URL('../bin/xingrin.js', import.meta.url));
const CASES: readonly (readonly string[])[] = [
  ['-e', '0'],
  [ENTRY, '--version'],
  [ENTRY, '--help'],
];

function milliseconds(argv: readonly string[]): number {
  const began = performance.now();
  const { status } = spawnSync(process.execPath, argv);
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}`);
  return performance.now() - began;
}

const times = CASES.map((): number[] => []);
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [index, argv] of CASES.entries()) times[index]?.push(milliseconds(argv));
}
const [bare = Number.NaN, version = Number.NaN, help = Number.NaN] = times.map(
  (each) => each.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN,
);
for (const [name, own] of [
  ['--version', version],
  ['--help', help],
] as const) {
  process.stdout.write(
    `xingrin ${name}: ${own.toFixed(1)} ms, node -e 0: ${bare.toFixed(1)} ms, ratio ${(own / bare).toFixed(2)}\n`,
  );
}
