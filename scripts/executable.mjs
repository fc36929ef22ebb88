// Makes dist/executable/xingrin-PLATFORM-ARCH: one file that needs no Node. It is the Node that runs this script, with the command
// and the files of the package inside (a "single executable application").
import { spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { inject } from 'postject';
import { templateEntries } from '../src/domain/template.ts';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

const folder = 'dist/executable';
const main = join(folder, 'main.cjs');
const blob = join(folder, 'blob');
const target = join(folder, `xingrin-${process.platform}-${process.arch}${process.platform === 'win32' ? '.exe' : ''}`);

await rm(folder, { recursive: true, force: true });
await mkdir(folder);
const version = (await readFile('VERSION', 'utf8')).trim();
await build({
  entryPoints: ['src/main.ts'],
  outfile: main,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  keepNames: true,
  legalComments: 'none',
  plugins: [{ name: 'no-addons', setup: withoutAddons }],
  // Only asked for where files of the package are: inside, here.
  define: { XINGRIN_VERSION: JSON.stringify(version), 'import.meta.url': '"file:///"', 'import.meta.dirname': '"/"' },
  logLevel: 'warning',
});
const files = ['VERSION', ...templateEntries().map((entry) => entry.source)];
const config = {
  main,
  output: blob,
  disableExperimentalSEAWarning: true,
  useCodeCache: true,
  assets: Object.fromEntries(files.map((path) => [path, path])),
};
await writeFile(join(folder, 'sea.json'), JSON.stringify(config));
const made = spawnSync(process.execPath, ['--experimental-sea-config', join(folder, 'sea.json')], { encoding: 'utf8' });
if (made.status !== 0) throw new Error(`the blob could not be made: ${made.stderr}`);
await copyFile(process.execPath, target);
await chmod(target, 0o755);
await inject(target, 'NODE_SEA_BLOB', await readFile(blob), {
  sentinelFuse: FUSE,
  ...(process.platform === 'darwin' ? { machoSegmentName: 'NODE_SEA' } : {}),
});
for (const path of [main, blob, join(folder, 'sea.json')]) await rm(path);
process.stdout.write(`${target}\n`);

/** What libraries try to load and do without: native addons of ssh2, a package that is not ours. One file can have neither. */
function withoutAddons({ onResolve, onLoad }) {
  onResolve({ filter: /^(cpu-features|supports-color)$|sshcrypto\.node$/ }, ({ path }) => ({
    path,
    namespace: 'no-addon',
  }));
  onLoad({ filter: /.*/, namespace: 'no-addon' }, () => ({ contents: "throw new Error('not here')" }));
}
