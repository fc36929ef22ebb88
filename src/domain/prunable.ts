import { UserError } from './errors.ts';
import { splitReference, type Reference } from './image.ts';
import type { TaskRecord } from './task.ts';
import { compareVersions, isVersion, type Version } from './version.ts';

/** An image on a host. */
export interface HostImage {
  readonly id: string;
  /** `repository:tag` */
  readonly tags: readonly string[];
  /** `repository@sha256:…` */
  readonly digests: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Digests of its layers, lowest first. */
  readonly layers: readonly string[];
}

/** A container on a host, running or not. */
export interface HostContainer {
  readonly id: string;
  readonly name: string;
  /** What it was made from, as it was called. */
  readonly reference: string;
  /** The image's id. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Docker's word: running, exited, … */
  readonly state: string;
  /** ISO 8601; the year 1 for one that did not end. */
  readonly finished: string;
}

/** What may go and what has to stay. */
export interface PruneRules {
  /** The Compose project's name, which our containers and builds carry as a label. */
  readonly project: string;
  /** Where images of the matrix are or were: what stands before `/xingrin-server`. */
  readonly repositories: readonly string[];
  /** Names of the images of the matrix. */
  readonly images: readonly string[];
  /** The version in force; what is newer is not old. */
  readonly current: Version;
  /** Versions of the deployments that one can go back to. */
  readonly versions: readonly Version[];
  /** Ids of the images that those deployments ran. */
  readonly imageIds: readonly string[];
  /** References that stay whatever they are. */
  readonly references: readonly string[];
  /** ISO 8601: containers of tasks that ended before it go. */
  readonly tasksBefore: string;
}

/** What is to be removed from a host. */
export interface Prunable {
  /** Ids of the tasks whose containers stay. */
  readonly tasks: readonly string[];
  /** Containers of tasks that ended long ago. */
  readonly containers: readonly HostContainer[];
  /** Images that go for good, and by which names. */
  readonly images: readonly { readonly image: HostImage; readonly names: readonly string[] }[];
}

const TASK_LABEL = 'xingrin.task';
const PROJECT_LABEL = 'xingrin.project';
const COMPOSE_LABEL = 'com.docker.compose.project';
const ENDED = ['exited', 'dead'];

/**
 * Chooses what to remove from a host: old versions of the matrix' images, ended tasks, what development mode built. An image of
 * somebody else, one that a container uses, and one that has a name beside ours stays.
 */
export function choosePrunable(
  images: readonly HostImage[],
  containers: readonly HostContainer[],
  rules: PruneRules,
): Prunable {
  const ended = containers.filter((container) => isEndedTask(container, rules));
  const used = new Set(containers.filter((container) => !ended.includes(container)).map(({ image }) => image));
  const chosen = images.filter(
    (image) =>
      !used.has(image.id) &&
      !rules.imageIds.includes(image.id) &&
      !image.tags.some((tag) => rules.references.includes(tag)) &&
      (isOldRelease(image, rules) || isOldBuild(image, rules)),
  );
  const tasks = containers.filter((container) => !ended.includes(container) && isTask(container, rules));
  return {
    tasks: tasks.map(({ labels }) => labels[TASK_LABEL] ?? ''),
    containers: ended,
    images: chosen.map((image) => ({ image, names: image.tags.length === 0 ? [image.id] : image.tags })),
  };
}

/** Milliseconds after which a task that nobody saw start is not about to start any more. */
const UNDER_WAY = 24 * 60 * 60 * 1000;

/**
 * Chooses the records of tasks that ended long ago and of which nothing is left on any host.
 *
 * @param hosts by worker id: the ids of the tasks whose containers stay there; null for one that did not answer
 */
export function choosePrunableRecords(
  records: readonly TaskRecord[],
  hosts: ReadonlyMap<number, readonly string[] | null>,
  { project, tasksBefore }: Pick<PruneRules, 'project' | 'tasksBefore'>,
): TaskRecord[] {
  return records.filter((record) => {
    const stays = hosts.get(record.worker.id) ?? (hosts.has(record.worker.id) ? null : []);
    if (record.project !== project || stays === null || stays.includes(record.id)) return false;
    const over = record.end === null ? Date.parse(record.sent) + UNDER_WAY : Date.parse(record.end.at ?? record.sent);
    return over < Date.parse(tasksBefore);
  });
}

/**
 * Bytes that are free once these images are gone: those of their layers that no other image has.
 *
 * @param sizes of an image's layers, lowest first; null if unknown, which counts as nothing
 */
export function bytesFreed(
  chosen: readonly HostImage[],
  all: readonly HostImage[],
  sizes: (image: HostImage) => readonly number[] | null,
): number {
  const gone = new Set(chosen.map(({ id }) => id));
  // A layer is what it is on top of: engines keep it once for each stack below it.
  const kept = new Set(all.filter(({ id }) => !gone.has(id)).flatMap(({ layers }) => stacks(layers)));
  const freed = new Map<string, number>();
  for (const image of chosen) {
    const known = sizes(image);
    for (const [index, stack] of stacks(image.layers).entries())
      if (!kept.has(stack)) freed.set(stack, known?.[index] ?? 0);
  }
  return [...freed.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * The sizes of an image's layers, lowest first, from what its history says. Steps that made no layer are empty; so are some that
 * did, and which is which cannot be told: it does not change the sum.
 *
 * @param steps bytes of each step, newest first
 */
export function layerSizes(steps: readonly number[], layers: number): number[] {
  const sizes = steps.toReversed();
  for (let empty = sizes.indexOf(0); sizes.length > layers && empty >= 0; empty = sizes.indexOf(0))
    sizes.splice(empty, 1);
  return sizes;
}

function isTask({ labels }: HostContainer, { project }: PruneRules): boolean {
  return labels[TASK_LABEL] !== undefined && labels[PROJECT_LABEL] === project;
}

function isEndedTask(container: HostContainer, rules: PruneRules): boolean {
  const { state, finished } = container;
  return isTask(container, rules) && ENDED.includes(state) && Date.parse(finished) < Date.parse(rules.tasksBefore);
}

/** Every name that it has must be of an old version: then nobody misses it. Without a name it was pulled under a tag that moved on. */
function isOldRelease({ tags, digests }: HostImage, rules: PruneRules): boolean {
  if (tags.length > 0) return tags.every((tag) => isOldTag(tag, rules));
  return digests.length > 0 && digests.every((digest) => isOurs(digest, rules));
}

function isOldTag(reference: string, rules: PruneRules): boolean {
  const tag = partsOf(reference)?.tag ?? null;
  return (
    isOurs(reference, rules) &&
    tag !== null &&
    isVersion(tag) &&
    !rules.versions.includes(tag) &&
    compareVersions(tag, rules.current) < 0
  );
}

function isOurs(reference: string, { repositories, images }: PruneRules): boolean {
  const parts = partsOf(reference);
  return repositories.some((repository) =>
    images.some((image) => {
      const wanted = splitReference(`${repository}/${image}`);
      return wanted.registry === parts?.registry && wanted.path === parts.path;
    }),
  );
}

/** Built here by our Compose project, for development: an older build that lost its name, or one of a version that has passed. */
function isOldBuild({ tags, labels }: HostImage, { project, current }: PruneRules): boolean {
  if (labels[COMPOSE_LABEL] !== project) return false;
  return tags.every((reference) => {
    const tag = partsOf(reference)?.tag ?? '';
    const base = tag.endsWith('-dev') ? tag.slice(0, -'-dev'.length) : null;
    return base !== null && isVersion(base) && compareVersions(base, current) < 0;
  });
}

/** Null for what an engine shows in place of a name. */
function partsOf(reference: string): Reference | null {
  try {
    return splitReference(reference);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function stacks(layers: readonly string[]): string[] {
  return layers.map((_layer, index) => layers.slice(0, index + 1).join(' '));
}
