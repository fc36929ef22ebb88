/** Where a Compose project is and which of its optional parts are on. */
export interface ComposeProject {
  /** Absolute; also where Compose looks for `.env`, and what relative paths in the file mean. */
  readonly directory: string;
  /** Name of the Compose file inside the directory; `-` for one that comes on stdin. */
  readonly file: string;
  readonly profiles: readonly string[];
}

/** `docker compose` on a project, with a subcommand and its arguments. */
export function compose(project: ComposeProject, ...args: readonly string[]): string[] {
  return [
    'docker',
    'compose',
    '--project-directory',
    project.directory,
    '--file',
    project.file === '-' ? '-' : `${project.directory}/${project.file}`,
    ...project.profiles.flatMap((profile) => ['--profile', profile]),
    '--ansi',
    'never',
    ...args,
  ];
}

/**
 * Brings one service to what the files say, from images that are here. What it depends on comes along, so it must be right
 * already; `--no-deps` would leave a container whose configuration hash a later plain `docker compose up` does not know.
 */
export function upService(project: ComposeProject, service: string): string[] {
  return compose(project, 'up', '--detach', '--no-build', '--pull', 'never', service);
}

/** The same for a service that was there, but did not run. */
export function createService(project: ComposeProject, service: string): string[] {
  return compose(project, 'up', '--no-start', '--no-build', '--pull', 'never', service);
}

export function stopService(project: ComposeProject, service: string): string[] {
  return compose(project, 'stop', service);
}

/** Builds the images of these services, whatever profiles they are in. */
export function buildServices(project: ComposeProject, services: readonly string[]): string[] {
  return compose({ ...project, profiles: EVERY_PROFILE }, 'build', ...services);
}

/** Rebuilds, restarts and copies files as the sources change; for ever. */
export function watchServices(project: ComposeProject): string[] {
  return compose(project, 'watch', '--no-up');
}

export const EVERY_PROFILE: readonly string[] = ['*'];

/**
 * The environment for Compose: the caller's, without what would silently override docker/.env. DOCKER_USER stays: the
 * contract puts the caller's above the file's.
 *
 * @param keys the keys that docker/.env holds
 */
export function composeEnvironment(
  inherited: Readonly<Record<string, string | undefined>>,
  keys: readonly string[],
): Record<string, string> {
  const hidden = new Set(keys.filter((key) => key !== 'DOCKER_USER'));
  const kept = Object.entries(inherited).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !hidden.has(entry[0]) && !entry[0].startsWith('COMPOSE_'),
  );
  return Object.fromEntries(kept);
}
