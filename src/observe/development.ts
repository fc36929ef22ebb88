import { join } from 'node:path';
import type { builtServices, ComposeModel } from '../domain/compose-model.ts';
import { developmentExecutor, isDevelopmentExecutor } from '../domain/development.ts';
import { fail } from '../domain/errors.ts';
import { localImages, type Container } from '../effects/engine.ts';
import { exists } from '../effects/files.ts';
import type { Project } from './project.ts';
import type { Target } from './target.ts';

/** Images that are made here, from the files as they are. */
export interface Builds {
  /** Services of the development file. */
  readonly services: readonly string[];
  /** The names that the images get. */
  readonly references: readonly string[];
  /** Where the file does not build the image for tasks: how we do. */
  readonly worker: { readonly dockerfile: string; readonly context: string } | null;
}

/** The target's stack. In development, what the file builds in all of its profiles, and the names of that. */
export interface Staged {
  readonly model: ComposeModel;
  readonly builds: ReturnType<typeof builtServices>;
  readonly built: readonly string[];
}

/** The worker image is wanted, not run: XingRin's file has it as a service that ends at once. */
export function withoutWorker(model: ComposeModel): ComposeModel {
  const services = Object.entries(model.services).filter(([, { image }]) => !isDevelopmentExecutor(image ?? ''));
  return { ...model, services: Object.fromEntries(services) };
}

/** What has to be built so that the target can run; null if everything is here.
 *
 * @param without services that are left out
 * @param which all of it, so that changed sources count, or only what is not here
 */
export async function buildsOf(
  project: Project,
  target: Target,
  staged: Staged,
  without: ReadonlySet<string>,
  which: 'build' | 'build-missing' | undefined,
): Promise<Builds | null> {
  const executor = developmentExecutor(target.version);
  const here = which === 'build' ? new Map() : await localImages([...staged.built, executor]);
  const wanted = staged.builds.filter(
    ({ service, reference }) => !without.has(service) && (reference === null || !here.has(reference)),
  );
  const own = staged.built.includes(executor) || here.has(executor) ? null : workerBuild(project);
  if (wanted.length === 0 && own === null) return null;
  const references = wanted.flatMap(({ reference }) => reference ?? []);
  return {
    services: wanted.map(({ service }) => service),
    references: own === null ? references : [...references, executor],
    worker: own,
  };
}

function workerBuild(project: Project): Builds['worker'] {
  const image = project.config.images.find(({ name }) => name.endsWith('-worker'));
  return image === undefined ? null : { dockerfile: image.dockerfile, context: image.context };
}

/** Services that have a container of the other mode and take no part in this one, whether it does not know them or leaves them out. */
export function straysOf(containers: readonly Pick<Container, 'service'>[], taking: readonly string[]): string[] {
  const names = new Set(containers.map(({ service }) => service));
  return [...names].filter((service) => !taking.includes(service)).sort();
}

/** Throws PRECONDITION (exit 6) where a commit (null: the files as they are) has no development file. */
export async function requireDevelopmentFile(project: Project, commit: string | null): Promise<void> {
  const path = `${project.config.compose.directory}/${project.config.compose.devFile}`;
  const there =
    commit === null || project.git === null
      ? await exists(join(project.root, path))
      : (await project.git.fileAt(commit, path)) !== null;
  if (there) return;
  fail(
    'PRECONDITION',
    { en: `there is no ${path}: development mode runs what it says`, zh: `没有 ${path}:开发模式依据它运行` },
    {
      hint: { en: 'name another: compose.devFile in xingrin.yaml', zh: '可在 xingrin.yaml 中用 compose.devFile 指定' },
    },
  );
}

/** Throws PRECONDITION (exit 6). */
export function refuseTwoNames(project: Project, one: string, other: string): never {
  const { file, devFile } = project.config.compose;
  return fail(
    'PRECONDITION',
    {
      en: `${file} and ${devFile} name two Compose projects (${one}, ${other}): both would run at once`,
      zh: `${file} 与 ${devFile} 的 Compose 项目名不同(${one}、${other}):两套服务会同时运行`,
    },
    { hint: { en: 'give both files the same name:', zh: '请让两个文件的 name: 相同' } },
  );
}
