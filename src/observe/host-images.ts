import * as z from 'zod';
import { imageHistory, inspectContainers, inspectImages, listContainers, listImages } from '../argv/images.ts';
import { fail } from '../domain/errors.ts';
import { layerSizes, type HostContainer, type HostImage } from '../domain/prunable.ts';
import type { Connection } from '../effects/transport.ts';

/** Milliseconds for a question to an engine; it answers in milliseconds or is stuck. */
const QUESTION_LIMIT = 60_000;

const labels = z
  .record(z.string(), z.string())
  .nullish()
  .transform((each) => each ?? {});
const texts = z
  .array(z.string())
  .nullish()
  .transform((each) => each ?? []);
const imageSchema = z.object({ id: z.string(), tags: texts, digests: texts, labels, layers: texts });
const containerSchema = z.object({
  id: z.string(),
  name: z.string().transform((name) => name.replace(/^\//, '')),
  reference: z.string(),
  image: z.string(),
  labels,
  state: z.string(),
  finished: z.string(),
});

/**
 * All images of a host, each once.
 *
 * @throws ENGINE_MISSING (exit 6) naming the host if Docker there does not answer, and what the connection throws
 */
export async function hostImages(connection: Connection, host: string): Promise<HostImage[]> {
  return listed(connection, host, listImages(), inspectImages, imageSchema);
}

/** All containers of a host, running or not. Throws as {@link hostImages}. */
export async function hostContainers(connection: Connection, host: string): Promise<HostContainer[]> {
  return listed(connection, host, listContainers(), inspectContainers, containerSchema);
}

/** Bytes of an image's layers, lowest first; null where its history cannot be read. */
export async function hostLayerSizes(connection: Connection, image: HostImage): Promise<number[] | null> {
  const { code, stdout } = await connection.exec(imageHistory(image.id), { timeout: QUESTION_LIMIT });
  if (code !== 0) return null;
  const steps = stdout.split('\n').filter((line) => line !== '');
  return layerSizes(steps.map(Number), image.layers.length);
}

async function listed<T>(
  connection: Connection,
  host: string,
  list: string[],
  inspect: (ids: readonly string[]) => string[],
  schema: z.ZodType<T>,
): Promise<T[]> {
  const { code, stdout, stderr } = await connection.exec(list, { timeout: QUESTION_LIMIT });
  if (code !== 0) engineSilent(host, code, stderr);
  const ids = [...new Set(stdout.split('\n').filter((id) => id !== ''))];
  if (ids.length === 0) return [];
  const inspected = await connection.exec(inspect(ids), { timeout: QUESTION_LIMIT });
  const lines = inspected.stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => schema.parse(JSON.parse(line)));
}

function engineSilent(host: string, code: number, told: string): never {
  fail(
    'ENGINE_MISSING',
    code === 127
      ? { en: `docker is not installed on ${host}`, zh: `${host} 上未安装 docker` }
      : { en: `Docker on ${host} does not answer`, zh: `${host} 上的 Docker 没有响应` },
    {
      host,
      evidence: told.trimEnd().split('\n').slice(-3).join('\n'),
      hint:
        code === 127
          ? { en: 'install it there: apt-get install docker.io', zh: '请在该主机上安装:apt-get install docker.io' }
          : { en: 'look there: systemctl status docker', zh: '请在该主机上查看:systemctl status docker' },
    },
  );
}
