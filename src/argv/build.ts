import { posix } from 'node:path';

/** One image to be built. Paths are relative to the exported tree. */
export interface ImageBuild {
  readonly name: string;
  /** `repository/image:tag`, under which it is pushed. */
  readonly reference: string;
  readonly dockerfile: string;
  readonly context: string;
  /** None: the builder's own. */
  readonly platforms: readonly string[];
  readonly args: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** The classic builder for one image, to be run in the exported tree. */
export function classicBuild(image: ImageBuild): string[] {
  return [
    'docker',
    'build',
    '--tag',
    image.reference,
    '--file',
    image.dockerfile,
    ...image.platforms.flatMap((platform) => ['--platform', platform]),
    ...Object.entries(image.args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...Object.entries(image.labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    '--force-rm',
    image.context,
  ];
}

export function push(reference: string): string[] {
  return ['docker', 'push', reference];
}

/** Builds and pushes all images of a definition side by side, to be run in the exported tree. */
export function bake(definition: string): string[] {
  return ['docker', 'buildx', 'bake', '--file', definition, '--progress', 'plain'];
}

/** Builds must not depend on who runs them: no attestations with the builder's own data, files of the tree only. */
export const BAKE_ENVIRONMENT = { BUILDX_NO_DEFAULT_ATTESTATIONS: '1', BUILDX_BAKE_ENTITLEMENTS_FS: '0' } as const;

export const CLASSIC_ENVIRONMENT = { DOCKER_BUILDKIT: '0' } as const;

/** The definition for {@link bake}, as JSON. */
export function bakeDefinition(images: readonly ImageBuild[]): string {
  const targets = images.map((image, index): [string, unknown] => [
    bakeTarget(image.name, index),
    {
      context: literal(image.context),
      // Bake looks for it from the context.
      dockerfile: literal(posix.relative(image.context, image.dockerfile)),
      args: literals(image.args),
      labels: literals(image.labels),
      tags: [literal(image.reference)],
      output: ['type=image,push=true'],
      ...(image.platforms.length === 0 ? {} : { platforms: image.platforms }),
    },
  ]);
  const group = { default: { targets: targets.map(([name]) => name) } };
  return `${JSON.stringify({ group, target: Object.fromEntries(targets) }, null, 2)}\n`;
}

/** What bake calls an image in a definition; its names take fewer characters than those of images. */
export function bakeTarget(name: string, index: number): string {
  const plain = name.replace(/[^\w-]/g, '_');
  return plain === name ? name : `${plain}_${index}`;
}

function literals(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, literal(value)]));
}

/** Bake reads strings as templates. */
function literal(text: string): string {
  return text.replace(/[$%](?=\{)/g, (sign) => sign + sign);
}
