import { join } from 'node:path';
import {
  BAKE_ENVIRONMENT,
  bake,
  bakeDefinition,
  bakeTarget,
  CLASSIC_ENVIRONMENT,
  classicBuild,
  push,
  type ImageBuild,
} from '../argv/build.ts';
import { fail } from '../domain/errors.ts';
import { docker } from './engine.ts';
import { writeFileAtomic } from './files.ts';
import { run, type RunOptions } from './process.ts';

/** `bake`: buildx builds all images side by side. `classic`: the engine's own builder, one image a call. */
export type Builder = 'bake' | 'classic';

export interface BuildOptions {
  /** The exported tree of the commit. */
  readonly tree: string;
  readonly signal: AbortSignal;
  /** Called as images are finished and as the builder speaks. */
  readonly report: (finished: number, line: string) => void;
}

/** Lines of a failed build that are shown. */
const SHOWN = 20;

/** Which builder there is. The engine itself must be known to answer. */
export async function findBuilder(): Promise<Builder> {
  return (await docker(['buildx', 'version'])).code === 0 ? 'bake' : 'classic';
}

/**
 * Builds and pushes images side by side with buildx. Throws FAILED (exit 1) naming the image, with the last lines of its build.
 *
 * @param definition path for bake's definition file, outside the tree
 */
export async function bakeAndPush(
  images: readonly ImageBuild[],
  definition: string,
  options: BuildOptions,
): Promise<void> {
  await writeFileAtomic(definition, bakeDefinition(images));
  const names = new Map(images.map((image, index): [string, string] => [bakeTarget(image.name, index), image.name]));
  const follow = bakeFollower(new Set(names.keys()));
  const lines: string[] = [];
  const result = await run(bake(definition), {
    ...within(options, BAKE_ENVIRONMENT),
    onLine(line) {
      lines.push(line);
      follow.read(line);
      options.report(follow.finished(), line.replace(/^#\d+ /, ''));
    },
  });
  if (result.code === 0) return;
  // BuildKit repeats the step that failed under a headline of its own: " > [target 2/3] RUN …:".
  const target = lines.map((line) => /^ > \[([^\] ]+)/.exec(line)?.[1]).find((name) => name !== undefined) ?? '';
  refuseBuild(names.get(target) ?? images.map(({ name }) => name).join(', '), lines);
}

/** Builds one image with the classic builder and pushes it. Throws FAILED (exit 1) naming the image. */
export async function buildAndPush(image: ImageBuild, options: BuildOptions): Promise<void> {
  await runEach([classicBuild(image), push(image.reference)], image, options);
}

/** Builds one image with the classic builder, for this machine alone. Throws FAILED (exit 1) naming the image. */
export async function buildHere(image: ImageBuild, options: BuildOptions): Promise<void> {
  await runEach([classicBuild(image)], image, options);
}

async function runEach(
  commands: readonly (readonly string[])[],
  image: ImageBuild,
  options: BuildOptions,
): Promise<void> {
  for (const argv of commands) {
    const lines: string[] = [];
    const result = await run(argv, {
      ...within(options, CLASSIC_ENVIRONMENT),
      onLine(line) {
        lines.push(line);
        options.report(0, line);
      },
    });
    if (result.code !== 0) refuseBuild(image.name, lines);
  }
}

/** Where bake's definition goes when the tree is exported into `folder`/tree. */
export function definitionIn(folder: string): string {
  return join(folder, 'bake.json');
}

function within(options: BuildOptions, environment: Readonly<Record<string, string>>): RunOptions {
  // Our labels say where the sources come from; buildx would ask git six times an image for labels of its own.
  const quiet = { BUILDX_GIT_INFO: 'false' };
  return { cwd: options.tree, env: { ...process.env, ...quiet, ...environment }, signal: options.signal };
}

/** Counts the images that bake has pushed, from its plain progress: "#12 [target] pushing …" and "#12 DONE 0.6s". */
function bakeFollower(targets: ReadonlySet<string>): { read(line: string): void; finished(): number } {
  const owners = new Map<string, string>();
  const pushing = new Set<string>();
  const pushed = new Set<string>();
  return {
    read(line) {
      const [, vertex, rest] = /^#(\d+) (.*)$/.exec(line) ?? [];
      if (vertex === undefined || rest === undefined) return;
      const target = /^\[([^\] ]+)/.exec(rest)?.[1];
      if (target !== undefined && targets.has(target)) owners.set(vertex, target);
      if (/^(?:\[[^\]]+\] )?pushing /.test(rest)) pushing.add(vertex);
      const owner = owners.get(vertex);
      if (rest.startsWith('DONE') && pushing.has(vertex) && owner !== undefined) pushed.add(owner);
    },
    finished: () => pushed.size,
  };
}

function refuseBuild(name: string, lines: readonly string[]): never {
  return fail(
    'FAILED',
    { en: `building or pushing ${name} failed`, zh: `构建或推送 ${name} 失败` },
    { evidence: lines.slice(-SHOWN).join('\n') },
  );
}
