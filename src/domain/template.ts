import { fail } from './errors.ts';

/** One file of the project that `xingrin init` writes. */
export interface TemplateEntry {
  /** Its path in the package. */
  readonly source: string;
  /** Its path below the new project, with forward slashes. */
  readonly target: string;
  /** Whether it has placeholders. */
  readonly filled: boolean;
  readonly mode: number;
}

/** What the placeholders `@@NAME@@` of the templates stand for. */
export interface TemplateValues {
  /** Name of the Compose project, and with it of containers and networks. */
  readonly PROJECT: string;
  /** The xingrin that CI installs, without a leading `v`. */
  readonly XINGRIN_VERSION: string;
}

/** Every file of a new project, in the order in which they are written: what others refer to comes first. */
const PATHS = [
  'VERSION',
  '.gitignore',
  '.dockerignore',
  'docker/server/server.mjs',
  'docker/server/Dockerfile',
  'docker/frontend/www/index.html',
  'docker/frontend/serve.sh',
  'docker/frontend/Dockerfile',
  'docker/nginx/ssl/README.md',
  'docker/nginx/nginx.conf',
  'docker/nginx/Dockerfile',
  'docker/worker/Dockerfile',
  'docker/agent/agent.sh',
  'docker/agent/Dockerfile',
  'docker/.env.example',
  'docker/docker-compose.yml',
  'docker/docker-compose.dev.yml',
  '.github/workflows/release.yml',
  'install.sh',
  'update.sh',
  'start.sh',
  'stop.sh',
  'README.md',
] as const;

const FOLDER = 'templates/project';

/** What is not found under its own name: npm leaves every `.gitignore` out of a package, and the control plane is built. */
const SOURCES: Readonly<Record<string, string>> = {
  '.gitignore': `${FOLDER}/gitignore`,
  'docker/server/server.mjs': 'dist/server.mjs',
};

export function templateEntries(): TemplateEntry[] {
  return PATHS.map((target) => ({
    source: SOURCES[target] ?? `${FOLDER}/${target}`,
    target,
    // A program has no places to fill in.
    filled: !target.endsWith('.mjs'),
    mode: target.endsWith('.sh') ? 0o755 : 0o644,
  }));
}

const PLACEHOLDER = /@@([A-Z_]+)@@/g;

/** Puts the values in, once: a value that looks like a placeholder stays as it is. An unknown placeholder is a bug. */
export function renderTemplate(text: string, values: TemplateValues): string {
  return text.replace(PLACEHOLDER, (placeholder, name: string) => {
    if (!isValueName(values, name)) throw new Error(`no value for ${placeholder}`);
    return values[name];
  });
}

function isValueName(values: TemplateValues, name: string): name is keyof TemplateValues {
  return Object.hasOwn(values, name);
}

/** What is a project name to Compose and the beginning of an image's name to Docker. */
const PROJECT_NAME = /^[a-z0-9]+(?:[-_][a-z0-9]+)*$/;
const NAME_LIMIT = 63;

/** Fails with BAD_INPUT (exit 2) for a name that cannot be one of a Compose project and its images. */
export function parseProjectName(name: string): string {
  if (name.length <= NAME_LIMIT && PROJECT_NAME.test(name)) return name;
  return fail('BAD_INPUT', {
    en: 'a project name has 1 to 63 lower-case letters and digits, with single dashes or underscores between them',
    zh: '项目名由 1 到 63 个小写字母和数字组成,中间可用单个短横线或下划线分隔',
  });
}

/** A project name made of a folder's name; `xingrin` where nothing usable is left of it. */
export function projectNameOf(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, NAME_LIMIT)
    .replace(/^-|-$/g, '');
  return name === '' ? 'xingrin' : name;
}
