import { buildServices } from '../argv/compose.ts';
import { isDevelopmentExecutor } from '../domain/development.ts';
import { fail } from '../domain/errors.ts';
import { buildHere } from '../effects/builder.ts';
import { Compose, docker, localImages, projectContainers, removeContainer } from '../effects/engine.ts';
import type { Project } from '../observe/project.ts';
import type { Builds } from '../observe/development.ts';
import type { Json } from '../plan/plan.ts';
import { executor, type Executors, type StepContext } from './step.ts';

interface BuildParams {
  /** IMAGE_TAG for the development file, before docker/.env says so. */
  readonly version: string;
  readonly builds: Builds & { readonly [key: string]: Json };
  readonly [key: string]: Json;
}

interface BuildMemo {
  /** What each name meant before; null: nothing. */
  readonly before: { readonly [reference: string]: string | null };
  readonly [key: string]: Json;
}

/** Lines of a failed build that are shown. */
const SHOWN = 20;

/** What only development mode does: building images here, and clearing away what the other mode does not know. */
export function developmentExecutors(project: Project): Executors {
  return {
    'build-images': executor<BuildParams, BuildMemo>({
      async before({ builds }) {
        return { before: await idsOf(builds.references) };
      },
      async apply({ version, builds }, context, { before }) {
        if (builds.services.length > 0) await composeBuild(project, version, builds.services, context);
        if (builds.worker !== null) await buildWorker(project, version, builds, builds.worker, context);
        const after = await idsOf(builds.references);
        const missing = builds.references.find((reference) => after[reference] === null);
        if (missing !== undefined) refuseUnnamed(project, missing);
        return builds.references.every((reference) => after[reference] === before[reference]) ? 'unchanged' : 'done';
      },
      async undo(_params, { before }) {
        for (const [reference, id] of Object.entries(before)) {
          if (id !== null) await docker(['image', 'tag', id, reference]);
          // One that a container still uses stays: it is in nobody's way.
          else await docker(['image', 'rm', reference]);
        }
      },
    }),
    'remove-services': executor<{
      readonly projectName: string;
      readonly services: readonly string[];
      readonly [key: string]: Json;
    }>({
      async apply({ projectName, services }) {
        const own = (await projectContainers(projectName)).filter(
          ({ service, folder }) => services.includes(service) && folder === project.composeDirectory,
        );
        for (const container of own) await removeContainer(container);
        return own.length === 0 ? 'unchanged' : 'done';
      },
    }),
  };
}

async function idsOf(references: readonly string[]): Promise<{ [reference: string]: string | null }> {
  const here = await localImages(references);
  return Object.fromEntries(references.map((reference) => [reference, here.get(reference)?.id ?? null]));
}

async function composeBuild(
  project: Project,
  version: string,
  services: readonly string[],
  context: StepContext,
): Promise<void> {
  const described = { directory: project.composeDirectory, file: project.config.compose.devFile, profiles: [] };
  const compose = new Compose(described, ['IMAGE_TAG'], { IMAGE_TAG: version });
  const lines: string[] = [];
  const result = await compose.exec(buildServices(described, services), {
    signal: context.signal,
    onLine(line) {
      lines.push(line);
      context.report({ detail: line });
    },
  });
  if (result.code === 0) return;
  fail(
    'FAILED',
    { en: 'building the development images failed', zh: '构建开发镜像失败' },
    {
      evidence: lines.slice(-SHOWN).join('\n'),
      hint: { en: 'mend it and run the same again', zh: '修复后重新执行同一命令' },
    },
  );
}

async function buildWorker(
  project: Project,
  version: string,
  { references }: Builds,
  { dockerfile, context: folder }: NonNullable<Builds['worker']>,
  context: StepContext,
): Promise<void> {
  const reference = references.find(isDevelopmentExecutor) ?? '';
  const image = { name: reference, reference, dockerfile, context: folder, platforms: [], labels: {} };
  await buildHere(
    { ...image, args: { IMAGE_TAG: `${version}-dev` } },
    { tree: project.root, signal: context.signal, report: (_finished, line) => context.report({ detail: line }) },
  );
}

function refuseUnnamed(project: Project, reference: string): never {
  fail(
    'IMAGE_MISSING',
    {
      en: `${project.config.compose.devFile} was built, but there is no ${reference}`,
      zh: `已按 ${project.config.compose.devFile} 构建,但没有得到 ${reference}`,
    },
    { hint: { en: 'look at image: in that file', zh: '请检查该文件中的 image:' } },
  );
}
