import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { exists, makeFolder, readText, remove, writeFileAtomic } from '../effects/files.ts';
import { run } from '../effects/process.ts';
import { uploadBlob, uploadManifest } from '../effects/registry-upload.ts';
import { digestOfFile, moveFolder, writeTree, type TreeEntry } from '../effects/trees.ts';
import { SANDBOX_CACHE } from './debian.ts';

/** How a container of an image starts; the keys are those of the image specification. */
export interface ImageConfig {
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly StopSignal?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/** A file system layer in the cache: an uncompressed archive, since it travels within one machine only. */
export interface Layer {
  readonly file: string;
  readonly digest: string;
  readonly size: number;
}

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

/**
 * A layer with these entries, from the cache if it was made before.
 *
 * @param name for people who look into the cache
 * @param inputs everything that decides what the layer holds; the entries are asked for only when it is not in the cache
 */
export async function makeLayer(
  name: string,
  inputs: readonly string[],
  entries: () => Promise<ReadonlyMap<string, TreeEntry>>,
): Promise<Layer> {
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 12);
  const folder = join(SANDBOX_CACHE, 'layers', `${name}-${key}`);
  if (!(await exists(folder))) {
    const draft = join(SANDBOX_CACHE, 'layers', `.${randomUUID()}`);
    try {
      await makeFolder(draft, 0o755);
      await writeTree(join(draft, 'tree'), await entries());
      await archive(join(draft, 'tree'), join(draft, 'layer.tar'));
      await writeFileAtomic(join(draft, 'digest.json'), JSON.stringify(await digestOfFile(join(draft, 'layer.tar'))));
      await remove(join(draft, 'tree'));
      await moveFolder(draft, folder);
    } finally {
      await remove(draft);
    }
  }
  const digest = JSON.parse((await readText(join(folder, 'digest.json'))) ?? '') as { digest: string; size: number };
  return { file: join(folder, 'layer.tar'), ...digest };
}

/**
 * Puts an image into a registry, without any engine.
 *
 * @param url `http://host:port`
 * @param image repository and image tag there: `library/busybox:1.37`
 * @param layers lowest first
 */
export async function pushImage(
  url: string,
  image: string,
  layers: readonly Layer[],
  config: ImageConfig,
): Promise<void> {
  const [repository = '', tag = ''] = image.split(':');
  const text = JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created: '1970-01-01T00:00:00Z',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:00Z' })),
  });
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  const size = Buffer.byteLength(text);
  for (const layer of layers) await uploadBlob(url, repository, { ...layer, content: { file: layer.file } });
  await uploadBlob(url, repository, { digest, size, content: { text } });
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: { mediaType: CONFIG, size, digest },
    layers: layers.map((layer) => ({ mediaType: LAYER, size: layer.size, digest: layer.digest })),
  };
  await uploadManifest(url, repository, tag, { mediaType: MANIFEST, text: JSON.stringify(manifest) });
}

/** The same tree gives the same archive, so that images keep their digest from one machine to the next. */
async function archive(tree: string, file: string): Promise<void> {
  const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  const result = await run(['tar', '--create', '--file', file, ...same, '--directory', tree, '.']);
  if (result.code !== 0) throw new Error(`tar: ${result.stderr.trim()}`);
}
