/** Ids of all images that have a name or are the top of something, one a line. */
export function listImages(): string[] {
  return ['docker', 'image', 'ls', '--quiet', '--no-trunc'];
}

/** `name:tag id` of every image of a repository, one a line; the tag of one without is `<none>`. */
export function listImagesOf(repository: string): string[] {
  return ['docker', 'image', 'ls', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}', '--', repository];
}

/** A line of JSON for each image; code 1 if one of them has gone meanwhile, the others are still told. */
export function inspectImages(ids: readonly string[]): string[] {
  return ['docker', 'image', 'inspect', '--format', IMAGE, '--', ...ids];
}

const IMAGE = fields({
  id: '.Id',
  tags: '.RepoTags',
  digests: '.RepoDigests',
  labels: '.Config.Labels',
  layers: '.RootFS.Layers',
});

/** The size of each step that made an image, newest first, in bytes. */
export function imageHistory(id: string): string[] {
  return ['docker', 'image', 'history', '--no-trunc', '--human=false', '--format', '{{.Size}}', id];
}

/** By names, or ids of images without one. Docker refuses what a container uses, and goes on with the others. */
export function removeImages(names: readonly string[]): string[] {
  return ['docker', 'image', 'rm', '--', ...names];
}

/** Ids of all containers, running or not, one a line. */
export function listContainers(): string[] {
  return ['docker', 'container', 'ls', '--all', '--quiet', '--no-trunc'];
}

/** A line of JSON for each container; code 1 if one of them has gone meanwhile. */
export function inspectContainers(ids: readonly string[]): string[] {
  return ['docker', 'container', 'inspect', '--format', CONTAINER, '--', ...ids];
}

const CONTAINER = fields({
  id: '.Id',
  name: '.Name',
  reference: '.Config.Image',
  image: '.Image',
  labels: '.Config.Labels',
  state: '.State.Status',
  finished: '.State.FinishedAt',
});

/** Without force: one that runs is refused. */
export function removeContainers(ids: readonly string[]): string[] {
  return ['docker', 'container', 'rm', '--', ...ids];
}

function fields(paths: Readonly<Record<string, string>>): string {
  return `{${Object.entries(paths)
    .map(([name, path]) => `"${name}":{{json ${path}}}`)
    .join(',')}}`;
}
