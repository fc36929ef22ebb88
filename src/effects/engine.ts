import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { connect } from 'node:net';
import * as z from 'zod';
import { compose, composeEnvironment, type ComposeProject } from '../argv/compose.ts';
import { parseComposeModel, type ComposeModel } from '../domain/compose-model.ts';
import { fail, UserError } from '../domain/errors.ts';
import { splitReference } from '../domain/image.ts';
import { layerMeter } from '../domain/pull-progress.ts';
import { pullProblem, pullProblemText } from '../domain/pull-problem.ts';
import { same } from '../domain/text.ts';
import { pullThrough } from './engine-pull.ts';
import { run, type RunOptions, type RunResult } from './process.ts';

/** Milliseconds for a question to the engine; it answers in milliseconds or is stuck. */
const QUESTION_LIMIT = 30_000;

const UNIX = 'unix://';

export interface LocalImage {
  readonly id: string;
  readonly tags: readonly string[];
  /** `repository@sha256:…` as the registry named it when it was pulled or pushed. */
  readonly digests: readonly string[];
}

/** A container of a Compose project. */
export interface Container {
  readonly id: string;
  readonly name: string;
  readonly service: string;
  /** The folder of the Compose project that made it: two projects may share a name, never a folder. */
  readonly folder: string;
  readonly configHash: string;
  /** The reference it was made from, and the image it really runs. */
  readonly image: string;
  readonly imageId: string;
  /** created, running, paused, restarting, removing, exited, dead */
  readonly state: string;
  /** healthy, unhealthy, starting; null without a health check. */
  readonly health: string | null;
  readonly restarts: number;
  readonly exitCode: number;
  /** ISO 8601; the engine's clock. */
  readonly startedAt: string;
}

const imageSchema = z.array(
  z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish(), RepoDigests: z.array(z.string()).nullish() }),
);

const containerSchema = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    Image: z.string(),
    RestartCount: z.number(),
    Config: z.object({ Image: z.string(), Labels: z.record(z.string(), z.string()).nullish() }),
    State: z.object({
      Status: z.string(),
      ExitCode: z.number(),
      StartedAt: z.string(),
      Health: z.object({ Status: z.string() }).nullish(),
    }),
  }),
);

/** Runs docker for us; every question has a time limit, no answer is matched by its words. */
export async function docker(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(['docker', ...args], { timeout: QUESTION_LIMIT, ...options });
}

/** Images of these names that are here; those that are not are left out. */
export async function localImages(references: readonly string[]): Promise<Map<string, LocalImage>> {
  const found = await Promise.all(
    [...new Set(references)].map(async (reference): Promise<[string, LocalImage] | null> => {
      const result = await docker(['image', 'inspect', reference]);
      if (result.code !== 0) return null;
      const [image] = imageSchema.parse(JSON.parse(result.stdout));
      if (image === undefined) return null;
      return [reference, { id: image.Id, tags: image.RepoTags ?? [], digests: image.RepoDigests ?? [] }];
    }),
  );
  return new Map(found.filter((entry) => entry !== null));
}

/** All containers, running or not, of a Compose project's services. Containers of `compose run` are nobody's service. */
export async function projectContainers(projectName: string): Promise<Container[]> {
  const filter = `label=com.docker.compose.project=${projectName}`;
  const listed = await docker(['container', 'ls', '--all', '--quiet', '--no-trunc', '--filter', filter]);
  if (listed.code !== 0) throw await engineError(listed);
  const ids = listed.stdout.split('\n').filter((id) => id !== '');
  if (ids.length === 0) return [];
  const inspected = await docker(['container', 'inspect', ...ids]);
  // A container that went away in between makes the code 1; the others are still told.
  return (
    containerSchema
      .parse(JSON.parse(inspected.stdout))
      .filter(({ Config: { Labels: labels } }) => labels?.['com.docker.compose.oneoff']?.toLowerCase() !== 'true')
      // Images that Compose built pass its labels on to whatever is run from them; this one only its own containers have.
      .filter(({ Config: { Labels: labels } }) => labels?.['com.docker.compose.config-hash'] !== undefined)
      .map((container) => ({
        id: container.Id,
        name: container.Name.replace(/^\//, ''),
        service: container.Config.Labels?.['com.docker.compose.service'] ?? '',
        folder: container.Config.Labels?.['com.docker.compose.project.working_dir'] ?? '',
        configHash: container.Config.Labels?.['com.docker.compose.config-hash'] ?? '',
        image: container.Config.Image,
        imageId: container.Image,
        state: container.State.Status,
        health: container.State.Health?.Status ?? null,
        restarts: container.RestartCount,
        exitCode: container.State.ExitCode,
        startedAt: container.State.StartedAt,
      }))
  );
}

/** The last lines a container wrote, both streams in their order as far as the engine keeps it. */
export async function lastLogLines(container: string, lines: number): Promise<string> {
  const result = await docker(['logs', '--tail', String(lines), container]);
  return `${result.stdout}${result.stderr}`.trimEnd();
}

/** How far a pull is: bytes, or layers where the engine is only reached through its client. */
export interface PullReport {
  readonly done: number;
  readonly total?: number;
  readonly unit: 'bytes' | 'count';
  readonly detail: string;
}

/** Pulls one image. Throws IMAGE_MISSING or DISK (exit 6) with the engine's words. */
export async function pullImage(
  reference: string,
  signal: AbortSignal,
  report: (report: PullReport) => void,
): Promise<void> {
  const address = await engineAddress();
  // Only Docker's client checks signatures.
  const trusts = process.env['DOCKER_CONTENT_TRUST'] === '1';
  const told =
    address.startsWith(UNIX) && !trusts
      ? await pullThrough(address.slice(UNIX.length), reference, signal, (amount, detail) =>
          report({ ...amount, unit: 'bytes', detail }),
        )
      : await pullByClient(reference, signal, report);
  if (told === null) return;
  await requireEngine();
  const problem = pullProblem(told);
  const { said, mend } = pullProblemText(problem, splitReference(reference).registry, reference);
  fail(
    problem === 'disk' ? 'DISK' : 'IMAGE_MISSING',
    { en: `this machine cannot pull ${reference}: ${said.en}`, zh: `本机无法拉取 ${reference}:${said.zh}` },
    {
      evidence: lastLines(told, 5),
      hint: { en: `${mend.en}. Nothing that runs was touched`, zh: `${mend.zh}。正在运行的服务未受影响` },
    },
  );
}

/** @returns null when the image is here, else what the client said */
async function pullByClient(
  reference: string,
  signal: AbortSignal,
  report: (report: PullReport) => void,
): Promise<string | null> {
  const measure = layerMeter();
  const { code, stderr } = await run(['docker', 'pull', reference], {
    signal,
    onLine: (line) => report({ ...measure(line), unit: 'count', detail: line }),
  });
  return code === 0 ? null : stderr;
}

/** Ends and removes a container, whatever it does. */
export async function removeContainer(container: Container): Promise<void> {
  const result = await docker(['container', 'rm', '--force', container.id]);
  if (result.code === 0) return;
  fail(
    'FAILED',
    { en: `cannot remove container ${container.name}`, zh: `无法删除容器 ${container.name}` },
    { evidence: result.stderr },
  );
}

/** One Compose project on the engine of this machine. */
export class Compose {
  readonly project: ComposeProject;
  readonly #environment: Record<string, string>;

  /** @param keys what docker/.env holds, so that the caller's own environment does not override it */
  constructor(project: ComposeProject, keys: readonly string[], extra: Readonly<Record<string, string>> = {}) {
    this.project = project;
    this.#environment = { ...composeEnvironment(process.env, keys), ...extra };
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(compose(this.project, ...args), { env: this.#environment, cwd: this.project.directory, ...options });
  }

  /** Runs a program that is not Compose in the same folder and environment: the project's own scripts. */
  runBeside(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(argv, { env: this.#environment, cwd: this.project.directory, ...options });
  }

  /** Runs a ready-made argv of src/argv/compose.ts. */
  exec(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return run(argv, { env: this.#environment, cwd: this.project.directory, ...options });
  }

  /**
   * The project with everything filled in. Throws BAD_CONFIG (exit 2) with Compose's own words.
   *
   * @param translate applied to what Compose says: paths of a staged project become the real ones
   */
  async model(translate: (text: string) => string = (text) => text): Promise<ComposeModel> {
    const result = await this.run(['config', '--format', 'json'], { timeout: QUESTION_LIMIT });
    if (result.code !== 0) await this.#refuse(result, translate);
    return parseComposeModel(translate(result.stdout));
  }

  /**
   * By service: the hashes that Compose may have put on a container made from the files as they are. `up` takes in what
   * `env_file` says before it reckons, `config --hash` does not in every version: so it is asked for the filled-in project, too.
   */
  async hashes(): Promise<Map<string, ReadonlySet<string>>> {
    const [plain, filled] = await Promise.all([
      this.run(['config', '--hash', '*'], { timeout: QUESTION_LIMIT }),
      this.run(['config', '--format', 'json'], { timeout: QUESTION_LIMIT }),
    ]);
    for (const result of [plain, filled]) if (result.code !== 0) await this.#refuse(result);
    const argv = compose({ ...this.project, file: '-' }, 'config', '--hash', '*');
    const again = await this.exec(argv, { timeout: QUESTION_LIMIT, input: filled.stdout });
    if (again.code !== 0) await this.#refuse(again);
    const hashes = new Map<string, Set<string>>();
    for (const line of `${plain.stdout}\n${again.stdout}`.split('\n')) {
      const [service = '', hash = ''] = line.split(' ');
      if (service !== '') hashes.set(service, (hashes.get(service) ?? new Set()).add(hash));
    }
    return hashes;
  }

  async #refuse(result: RunResult, translate: (text: string) => string = (text) => text): Promise<never> {
    await requireCompose();
    fail(
      'BAD_CONFIG',
      { en: `Compose cannot read ${this.project.file}`, zh: `Compose 无法读取 ${this.project.file}` },
      {
        evidence: translate(lastLines(result.stderr, 8)),
        hint: same(translate(`docker compose --file ${this.project.directory}/${this.project.file} config`)),
      },
    );
  }
}

/** Throws ENGINE_MISSING (exit 6) that says which of docker, daemon, permission is missing and what mends it. */
export async function requireEngine(): Promise<void> {
  const result = await docker(['version', '--format', '{{.Server.Version}}']);
  if (result.code !== 0) throw await engineError(result);
}

/** Throws ENGINE_MISSING (exit 6) unless Docker answers and Compose v2 or later is there. Returns Compose's version. */
export async function requireCompose(): Promise<string> {
  const [, result] = await Promise.all([requireEngine(), docker(['compose', 'version', '--short'])]);
  const version = result.stdout.trim().replace(/^v/, '');
  if (result.code === 0 && Number.parseInt(version, 10) >= 2) return version;
  const old = await run(['docker-compose', 'version', '--short'], { timeout: QUESTION_LIMIT });
  const found = old.code === 0 ? old.stdout.trim() : version;
  const { composeInstallHint } = await import('./host-packages.ts');
  fail(
    'ENGINE_MISSING',
    found === ''
      ? { en: 'Docker Compose is not installed', zh: '未安装 Docker Compose' }
      : {
          en: `Docker Compose ${found} is too old: v2 or later is needed`,
          zh: `Docker Compose ${found} 版本过旧:需要 v2 或更高版本`,
        },
    { hint: await composeInstallHint() },
  );
}

async function engineError(result: RunResult): Promise<UserError> {
  if (result.code === 127) {
    return new UserError(
      'ENGINE_MISSING',
      { en: 'docker is not installed', zh: '未安装 docker' },
      { hint: same('sudo apt-get install docker.io') },
    );
  }
  const address = await engineAddress();
  const reason = await whyUnreachable(address);
  const told = lastLines(result.stderr, 3);
  if (reason === 'EACCES' || reason === 'EPERM') {
    return new UserError(
      'ENGINE_MISSING',
      { en: `no permission to use Docker (${address})`, zh: `没有使用 Docker 的权限(${address})` },
      {
        hint: {
          en: 'run it with sudo, or: sudo usermod -aG docker "$USER", and log in again',
          zh: '请使用 sudo,或执行 sudo usermod -aG docker "$USER" 后重新登录',
        },
        evidence: told,
      },
    );
  }
  if (reason === 'open') {
    return new UserError('FAILED', { en: 'Docker refused the request', zh: 'Docker 拒绝了请求' }, { evidence: told });
  }
  return new UserError(
    'ENGINE_MISSING',
    { en: `the Docker daemon is not running (${address})`, zh: `Docker 守护进程未运行(${address})` },
    { hint: same('sudo systemctl start docker'), evidence: told },
  );
}

async function engineAddress(): Promise<string> {
  const host = process.env['DOCKER_HOST'];
  if (host !== undefined && host !== '') return host;
  const context = await docker(['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}']);
  return context.stdout.trim() || 'unix:///var/run/docker.sock';
}

/** Why a connection to the engine's address fails, by the system's error code; `open` if it does not. */
async function whyUnreachable(address: string): Promise<string> {
  if (!address.startsWith(UNIX)) return 'remote';
  const path = address.slice(UNIX.length);
  try {
    await access(path, constants.R_OK | constants.W_OK);
  } catch (error) {
    return codeOf(error);
  }
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('open');
    });
    socket.once('error', (error) => resolve(codeOf(error)));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
