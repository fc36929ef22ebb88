import { taskContainer, type TaskSpec, type Variable } from '../domain/task.ts';
import { shellCommand } from './shell-quote.ts';

export const TASK_LABEL = 'xingrin.task';
export const PROJECT_LABEL = 'xingrin.project';
const MARK_LABEL = 'xingrin.mark';
/** An image that Compose built would make the task a container of the stack, which goes when that goes. */
const NOT_OF_COMPOSE = [
  ['com.docker.compose.project', ''],
  ['com.docker.compose.service', ''],
] as const;

/** A program for a connection, with what it reads. */
export interface TaskCall {
  readonly argv: readonly string[];
  readonly input: string;
}

/**
 * Starts a task's container and leaves it to itself: it goes on when we are cut off. Values of variables are lines of a file that docker
 * reads from a pipe; they are in no list of processes and in no environment.
 *
 * @param variables each of which fits on a line; for others see {@link createTask}
 */
export function startTask(spec: TaskSpec, variables: readonly Variable[]): TaskCall {
  const argv = runContainer(spec, variables.length === 0 ? [] : ['--env-file', '/dev/stdin']);
  if (variables.length === 0) return { argv, input: '' };
  // `printf` is the shell's own, and a pipe can be opened as /dev/stdin where a socket cannot. The braces: a script that arrives in part
  // does nothing.
  const file = shellCommand(['printf', String.raw`%s\n`, ...variables.map(({ key, value }) => `${key}=${value}`)]);
  return { argv: ['sh', '-s', '--', ...argv], input: `{ ${file} | "$@"; exit; }\n` };
}

/**
 * Makes the same container through the engine's own interface, which takes values of any length with line breaks in them: a file of
 * variables cannot carry those, and the environment of docker must not (PATH, LD_PRELOAD, DOCKER_HOST …). `docker system dial-stdio`
 * connects our input and its output to the engine, wherever docker finds it. Its input stays open: an engine takes the end of it for the
 * end of the caller, and gives up.
 */
export function createTask(spec: TaskSpec, variables: readonly Variable[]): TaskCall {
  const body = JSON.stringify({
    Image: spec.image,
    ...(spec.args.length === 0 ? {} : { Cmd: spec.args }),
    Env: variables.map(({ key, value }) => `${key}=${value}`),
    Labels: Object.fromEntries(labelsOf(spec)),
    HostConfig: { LogConfig: { Type: LOG_DRIVER, Config: Object.fromEntries(LOG_OPTIONS) } },
  });
  const head = [
    // An answer to HTTP/1.0 comes in one piece, and the connection ends behind it.
    `POST /containers/create?name=${encodeURIComponent(taskContainer(spec.id))} HTTP/1.0`,
    'Host: docker',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return { argv: ['docker', 'system', 'dial-stdio'], input: `${head.join('\r\n')}\r\n\r\n${body}` };
}

/** Starts what {@link createTask} made. One that runs goes on running. */
export function startCreated(id: string): string[] {
  return ['docker', 'start', '--', taskContainer(id)];
}

/**
 * Whatever the engine's own default is, the output has to be there to be read on, whole: a limit that no disk reaches. Of the drivers whose
 * logs can be read, `json-file` spoils bytes that are no UTF-8, but `local` (of Docker 20) loses the end of lines over 16 KiB.
 */
const LOG_DRIVER = 'json-file';
const LOG_OPTIONS = [
  ['max-size', '1024g'],
  ['max-file', '1'],
  ['compress', 'false'],
] as const;

function labelsOf({ id, mark, project }: TaskSpec): (readonly [string, string])[] {
  return [[TASK_LABEL, id], [PROJECT_LABEL, project], [MARK_LABEL, mark], ...NOT_OF_COMPOSE];
}

function runContainer(spec: TaskSpec, variables: readonly string[]): string[] {
  return [
    'docker',
    'run',
    '--detach',
    '--pull=missing',
    '--name',
    taskContainer(spec.id),
    ...labelsOf(spec).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    `--log-driver=${LOG_DRIVER}`,
    ...LOG_OPTIONS.map(([key, value]) => `--log-opt=${key}=${value}`),
    ...variables,
    '--',
    spec.image,
    ...spec.args,
  ];
}

/** Whether an image is on a host: code 0 if so. */
export function findImage(image: string): string[] {
  return ['docker', 'image', 'inspect', '--format', '{{.Id}}', '--', image];
}

export function pullImage(image: string): string[] {
  return ['docker', 'pull', '--', image];
}

/** One line of JSON for each of these containers; code 1 if one does not exist. */
export function inspectTasks(containers: readonly string[]): string[] {
  return ['docker', 'container', 'inspect', '--format', FACTS, '--', ...containers];
}

/** The ids of the containers of a project's tasks, one a line. */
export function listTasks(project: string): string[] {
  const filters = [TASK_LABEL, `${PROJECT_LABEL}=${project}`].flatMap((label) => ['--filter', `label=${label}`]);
  return ['docker', 'container', 'ls', '--all', '--quiet', '--no-trunc', ...filters];
}

const FACTS = [
  `"task":{{json (index .Config.Labels "${TASK_LABEL}")}}`,
  `"project":{{json (index .Config.Labels "${PROJECT_LABEL}")}}`,
  `"mark":{{json (index .Config.Labels "${MARK_LABEL}")}}`,
  '"container":{{json .Id}}',
  '"image":{{json .Config.Image}}',
  '"args":{{json .Config.Cmd}}',
  '"created":{{json .Created}}',
  '"state":{{json .State}}',
]
  .join(',')
  .replace(/^/, '{')
  .replace(/$/, '}');

/** @param since a time stamp of the log from which to read on; from its beginning if absent */
export function taskLog(container: string, options: { readonly follow: boolean; readonly since?: string }): string[] {
  return [
    'docker',
    'logs',
    '--timestamps',
    ...(options.follow ? ['--follow'] : []),
    ...(options.since === undefined ? [] : ['--since', options.since]),
    '--',
    container,
  ];
}

/** SIGTERM, and SIGKILL for what still runs after so many seconds. */
export function stopTask(container: string, seconds: number): string[] {
  return ['docker', 'stop', '-t', String(seconds), '--', container];
}

/**
 * Asks a host how busy it is, in half a second: two samples of its processors and its memory, and whether Docker answers there.
 */
export function askLoad(): string[] {
  return ['sh', '-c', LOAD_SCRIPT];
}

const LOAD_SCRIPT = `head -n 1 /proc/stat
sleep 0.4 || sleep 1
head -n 1 /proc/stat
grep -E '^(MemTotal|MemAvailable):' /proc/meminfo
docker version --format 'engine {{.Server.Version}}'`;
