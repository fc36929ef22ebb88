import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import stringWidth from 'string-width';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHost, type Host } from '../e2e/hosts.ts';
import { makeProduct, type Product } from '../e2e/product.ts';
import { openRig, type Rig } from '../e2e/rig.ts';
import { openScreen, type Answer } from './tmux.ts';

let rig: Rig;
let product: Product;
let w1: Host;

beforeAll(async () => {
  rig = await openRig();
  [product, w1] = await Promise.all([makeProduct(rig), openHost(rig, 'w1')]);
});
afterAll(() => rig?.close());

/** Typed, its exit code, and what is answered. */
type Typed = readonly [command: string, exitCode: number, ...answers: Answer[]];

const ADD = (): string => `xingrin worker add ${w1.destination} --identity ${w1.identity} --name eu-1`;
const SOURCE = (version: string): readonly Typed[] => [
  [`xingrin init ../shop-${version}`, 0],
  ['xingrin release 1.2', 2],
  ['xingrin release minor --dry-run', 0],
  ['xingrin release dev --dry-run', 0],
  [`xingrin release ${version}`, 0, 'y'],
  [`xingrin publish ${version}`, 0, 'y'],
  [`xingrin publish ${version}`, 0],
  ['xingrin config show', 0],
  ['xingrin config schema | head -n 3', 0],
];
const SERVER = (version: string): readonly Typed[] => [
  ['xingrin', 2],
  ['xingrin updaet', 2],
  ['xingrin status', 0],
  ['xingrin install --version v1.0.0', 0, 'y'],
  ['xingrin status', 0],
  [ADD(), 0, 'y'],
  [ADD(), 0],
  ['xingrin worker list', 0],
  ['xingrin worker show eu-1', 0],
  ['xingrin worker show eu1', 2],
  ['xingrin worker exec -- uname -s', 0],
  ['xingrin worker logs', 0],
  ['xingrin worker update', 0],
  ['xingrin task run --worker eu-1 -- echo hello', 0],
  ['xingrin task run --worker nobody -- true', 2],
  [`xingrin task run --detach --id night-${version} -- sleep 60`, 0],
  ['xingrin task list', 0],
  [`xingrin task logs night-${version}`, 0],
  [`xingrin task stop night-${version}`, 0],
  ['xingrin update v9.9.9', 6],
  [`xingrin update ${version} --dry-run`, 0],
  [`xingrin update ${version}`, 0, 'y'],
  ['xingrin update', 0],
  ['xingrin history', 0],
  ['xingrin doctor', 0],
  ['xingrin prune --dry-run', 0],
  ['xingrin backup create', 0],
  ['echo "NOTE=by hand" >> docker/.env', 0],
  ['xingrin backup restore', 0, 'y'],
  ['xingrin backup list', 0],
  ['xingrin lock', 0],
  ['xingrin rollback', 0, 'y'],
  ['xingrin restart', 0, 'y'],
  ['xingrin stop', 0, 'y'],
  ['xingrin status', 0],
  ['xingrin start', 0, 'y'],
  ['xingrin logs --tail 3', 0],
  ['sed -i s/^IMAGE_TAG=.*/IMAGE_TAG=v1.7.0/ docker/.env', 0],
  ['xingrin status', 0],
  ['xingrin doctor', 1],
  ['sed -i s/^IMAGE_TAG=.*/IMAGE_TAG=v1.0.0/ docker/.env', 0],
  ['chmod 644 docker/.env', 0],
  ['xingrin doctor', 1],
  ['xingrin doctor --fix', 0, 'y'],
  ['xingrin dev --dry-run', 0],
  ['xingrin dev', 0, 'y'],
  ['xingrin status', 0],
  ['xingrin dev down', 0, 'y'],
  ['xingrin start', 0, 'y'],
  ['xingrin demo --dry-run', 0],
  ['xingrin schema status | head -n 3', 0],
  ['xingrin completion bash | head -n 2', 0],
  ['xingrin worker remove eu-1', 0, 'y'],
  ['xingrin prune', 0, 'y'],
  ['xingrin uninstall', 0, 'y'],
  ['xingrin install --dev --no-frontend', 0, 'y'],
  ['xingrin task run -- echo hello', 0],
  ['xingrin dev build', 0, 'y'],
  ['xingrin start --dev', 0, 'y'],
  ['xingrin update --dev', 0, 'y'],
  ['xingrin dev up --watch', 130, 'y', { once: /Ctrl-C[^]*watch enabled/i, press: 'C-c' }],
  ['xingrin dev down', 0, 'y'],
  ['PORT=18888 ADMIN_TOKEN=admin xingrin server', 0, { once: /"serving"/, press: 'C-c' }],
  ['xingrin demo', 0, 'y'],
  ['xingrin --version', 0],
  ['xingrin worker --help', 0],
  ['xingrin task --help', 0],
];

test.each([
  ['en', { LANG: 'C.UTF-8' }, 'v1.2.0'],
  ['zh', { LANG: 'zh_CN.UTF-8' }, 'v1.3.0'],
] as const)('every command reads well at 80 columns: %s', async (language, env, version) => {
  const server = await product.checkout(`main-${language}`);
  const recorded: string[] = [];
  const wrong: string[] = [];
  for (const [cwd, typed] of [
    [product.source, SOURCE(version)],
    [server.root, SERVER(version)],
  ] as const) {
    const screen = await openScreen(rig, cwd, env);
    for (const [command, exitCode, ...answers] of typed) {
      const said = await screen.type(command, answers);
      recorded.push(...said.lines, `[${said.exitCode}]`, '');
      if (said.exitCode !== exitCode) wrong.push(`${command}: ${said.exitCode}, not ${exitCode}`);
      // What services write is theirs, and a log is for programs as well.
      if (/xingrin (?:logs|server)/.test(command)) continue;
      for (const line of said.lines.slice(1)) if (stringWidth(line) > 80) wrong.push(`${command}: too wide: ${line}`);
    }
    await screen.close();
  }
  const folder = process.env['TOUR'];
  if (folder !== undefined) await writeFile(join(folder, `tour.${language}.txt`), recorded.join('\n'));
  expect(wrong).toEqual([]);
});
