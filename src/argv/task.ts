import { fitsOneLine, taskContainer, type TaskSpec, type Variable } from '../domain/task.ts';
import { shellCommand } from './shell-quote.ts';

export const TASK_LABEL = 'xingrin.task';
export const PROJECT_LABEL = 'xingrin.project';
const MARK_LABEL = 'xingrin.mark';
/** An image that Compose built would make the task a container of the stack, which goes when that goes. */
const NOT_OF_COMPOSE = ['com.docker.compose.project=', 'com.docker.compose.service='];

/** A program for a connection, with what it reads. */
export interface TaskCall {
  readonly argv: readonly string[];
  readonly input: string;
}

/**
 * Starts a task's container and leaves it to itself: it goes on when we are cut off. Values of variables travel over standard input, no
 * list of processes shows them.
 */
export function startTask(spec: TaskSpec, variables: readonly Variable[]): TaskCall {
  const lines = variables.filter(fitsOneLine);
  const others = variables.filter((variable) => !fitsOneLine(variable));
  const argv = runContainer(spec, [
    ...(lines.length === 0 ? [] : ['--env-file', '/dev/stdin']),
    ...others.flatMap(({ key }) => ['--env', key]),
  ]);
  if (variables.length === 0) return { argv, input: '' };
  // `printf` and `export` are the shell's own, and a pipe can be opened as /dev/stdin where a socket cannot. The braces: a script that
  // arrives in part does nothing.
  const exported = others.map(({ key, value }) => `${shellCommand(['export', `${key}=${value}`])};`);
  const file = shellCommand(['printf', String.raw`%s\n`, ...lines.map(({ key, value }) => `${key}=${value}`)]);
  const run = lines.length === 0 ? '"$@"' : `${file} | "$@"`;
  return { argv: ['sh', '-s', '--', ...argv], input: ['{', ...exported, `${run}; exit; }`, ''].join('\n') };
}

/**
 * Whatever the engine's own default is, the output has to be there to be read on, whole: a limit that no disk reaches. Of the drivers whose
 * logs can be read, `json-file` spoils bytes that are no UTF-8, but `local` (of Docker 20) loses the end of lines over 16 KiB.
 */
const LOG = ['--log-driver=json-file', '--log-opt=max-size=1024g', '--log-opt=max-file=1', '--log-opt=compress=false'];

function runContainer({ id, mark, project, image, args }: TaskSpec, variables: readonly string[]): string[] {
  return [
    'docker',
    'run',
    '--detach',
    '--pull=missing',
    '--name',
    taskContainer(id),
    '--label',
    `${TASK_LABEL}=${id}`,
    '--label',
    `${PROJECT_LABEL}=${project}`,
    '--label',
    `${MARK_LABEL}=${mark}`,
    ...NOT_OF_COMPOSE.flatMap((label) => ['--label', label]),
    ...LOG,
    ...variables,
    '--',
    image,
    ...args,
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
