// Bundles src/main.ts into dist/: one small entry and lazily loaded chunks, so that `--version` stays near bare node.
import { readFile, rm } from 'node:fs/promises';
import { build } from 'esbuild';

const version = (await readFile('VERSION', 'utf8')).trim();
await rm('dist', { recursive: true, force: true });
await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minify: true,
  keepNames: true,
  sourcemap: 'linked',
  legalComments: 'none',
  define: { XINGRIN_VERSION: JSON.stringify(version) },
  external: ['cpu-features', './crypto/build/Release/sshcrypto.node'],
  // CommonJS dependencies call require() for node's own modules.
  banner: {
    js: "import { createRequire as xingrinRequire } from 'node:module'; const require = xingrinRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
