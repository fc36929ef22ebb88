// Bundles the command into dist/: main.cjs, which answers `--version` and `--help` at once, and behind it cli.js with lazily
// loaded chunks; server.mjs, the control plane in one file; and the schemas and types of the documents.
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';
import { documentTypes } from './document-types.mjs';

const version = (await readFile('VERSION', 'utf8')).trim();

/** @type {import('esbuild').BuildOptions} */
const common = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  keepNames: true,
  sourcemap: 'linked',
  legalComments: 'none',
  define: { XINGRIN_VERSION: JSON.stringify(version) },
  logLevel: 'warning',
};

// CommonJS dependencies call require() for node's own modules and ask where they are.
const REQUIRE = {
  js: "import { createRequire as xingrinRequire } from 'node:module'; const require = xingrinRequire(import.meta.url); const __dirname = import.meta.dirname;",
};

await rm('dist', { recursive: true, force: true });
await build({
  ...common,
  entryPoints: ['src/cli.ts'],
  splitting: true,
  format: 'esm',
  external: ['cpu-features', './crypto/build/Release/sshcrypto.node'],
  banner: REQUIRE,
});
await build({
  ...common,
  entryPoints: ['src/main.ts'],
  // Node starts CommonJS without its loader of ES modules, which takes longer than our answer.
  format: 'cjs',
  outExtension: { '.js': '.cjs' },
  plugins: [
    {
      name: 'cli-apart',
      setup: ({ onResolve }) => onResolve({ filter: /\/cli\.ts$/ }, () => ({ path: './cli.js', external: true })),
    },
  ],
});
// The control plane in one file: what `init` puts into a project, whose image needs nothing beside it.
await build({
  ...common,
  entryPoints: { server: 'src/server/main.ts' },
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  sourcemap: false,
  external: ['cpu-features', './crypto/build/Release/sshcrypto.node'],
  banner: REQUIRE,
});
for (const language of ['en', 'zh']) await writeFile(`dist/help.${language}.txt`, said('--help', '--lang', language));

// What other programs may rely on: the schema of every document, and types for those who write TypeScript.
const schemas = JSON.parse(said('schema'));
await mkdir('dist/schemas');
for (const [command, schema] of Object.entries(schemas)) {
  await writeFile(`dist/schemas/${command.replaceAll(' ', '-')}.json`, `${JSON.stringify(schema, null, 2)}\n`);
}
await writeFile('dist/schemas/xingrin.yaml.json', `${said('config', 'schema')}\n`);
await writeFile('dist/documents.d.ts', documentTypes(schemas));

/** What the command that was just built prints. */
function said(...args) {
  const { stdout, status } = spawnSync(process.execPath, ['bin/xingrin.js', ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`xingrin ${args.join(' ')} failed`);
  return stdout;
}
