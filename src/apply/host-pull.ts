import * as z from 'zod';
import { removeImages } from '../argv/images.ts';
import { pullImage } from '../argv/task.ts';
import { UserError } from '../domain/errors.ts';
import { splitReference } from '../domain/image.ts';
import { layerMeter } from '../domain/pull-progress.ts';
import { pullProblem, pullProblemText } from '../domain/pull-problem.ts';
import type { Connection } from '../effects/transport.ts';
import { QUESTION_LIMIT, requireEngineOn } from '../observe/tasks.ts';
import type { PinnedImage } from '../observe/worker-images.ts';
import type { StepContext } from './step.ts';

/** Milliseconds: a slow line and a large image, but not for ever. */
const PULL_LIMIT = 30 * 60_000;

const digestsSchema = z.array(z.string()).nullish();

/**
 * Brings an image to a host, if it is not there yet, and makes sure that it is the one that was released.
 *
 * @param host its name, for messages
 * @throws DIGEST_DIFFERS (exit 6) for a moved image tag, IMAGE_MISSING or DISK (6) with the reason, ENGINE_MISSING (6), and what the
 *   connection throws
 */
export async function pullOnHost(
  connection: Connection,
  host: string,
  image: PinnedImage,
  context: StepContext,
): Promise<'done' | 'unchanged'> {
  const before = await digestsOn(connection, image.reference);
  if (before !== null && isRight(before, image)) return 'unchanged';
  const measure = layerMeter();
  const pulled = await connection.exec(pullImage(image.reference), {
    timeout: PULL_LIMIT,
    signal: context.signal,
    onLine: (line) => context.report({ ...measure(line), unit: 'count', detail: line }),
  });
  if (pulled.code !== 0) {
    await requireEngineOn(connection, { name: host });
    throw notPulled(host, image.reference, pulled.stderr);
  }
  const found = await digestsOn(connection, image.reference);
  if (found !== null && isRight(found, image)) return 'done';
  // Under this name the next task would run it.
  if (before === null) await connection.exec(removeImages([image.reference]), { timeout: QUESTION_LIMIT });
  throw moved(host, image, found ?? []);
}

/** Digests under which a host knows an image; null if it is not there. */
async function digestsOn(connection: Connection, reference: string): Promise<readonly string[] | null> {
  const argv = ['docker', 'image', 'inspect', '--format', '{{json .RepoDigests}}', '--', reference];
  const { code, stdout } = await connection.exec(argv, { timeout: QUESTION_LIMIT });
  if (code !== 0) return null;
  const names = digestsSchema.parse(JSON.parse(stdout)) ?? [];
  return names.map((name) => name.slice(name.indexOf('@') + 1));
}

function isRight(found: readonly string[], { digests }: PinnedImage): boolean {
  return digests === null || found.some((digest) => digests.includes(digest));
}

function notPulled(host: string, reference: string, told: string): UserError {
  const problem = pullProblem(told);
  const { said, mend } = pullProblemText(problem, splitReference(reference).registry, reference);
  return new UserError(
    problem === 'disk' ? 'DISK' : 'IMAGE_MISSING',
    {
      en: `${host} cannot pull ${reference}: ${said.en}`,
      zh: `${host} 无法拉取 ${reference}:${said.zh}`,
    },
    { host, hint: mend, evidence: told.trimEnd().split('\n').slice(-5).join('\n') },
  );
}

function moved(host: string, { reference, digests }: PinnedImage, found: readonly string[]): UserError {
  const [wanted, got] = [digests?.[0] ?? '∅', found.join(', ') || '∅'];
  return new UserError(
    'DIGEST_DIFFERS',
    {
      en: `${reference} on ${host} is not the image that was released: the release lock says ${wanted}, the registry gave ${got}`,
      zh: `${host} 上的 ${reference} 不是发布时的镜像:发布清单为 ${wanted},镜像仓库给出 ${got}`,
    },
    {
      host,
      hint: {
        en: 'somebody moved this image tag; find out who, then publish a new version. Nothing that runs was touched',
        zh: '有人移动了该镜像标签;请查明原因后发布新版本。正在运行的服务未受影响',
      },
    },
  );
}
