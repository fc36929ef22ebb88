import { createReadStream } from 'node:fs';
import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import { Readable } from 'node:stream';

export interface Blob {
  readonly digest: string;
  readonly size: number;
  /** A file, or the bytes themselves. */
  readonly content: { readonly file: string } | { readonly text: string };
}

/**
 * Uploads a blob into a repository of a registry that speaks plain HTTP; nothing is sent if it is there already.
 *
 * @param url `http://host:port`
 */
export async function uploadBlob(url: string, repository: string, blob: Blob): Promise<void> {
  const there = await ask(`${url}/v2/${repository}/blobs/${blob.digest}`, { method: 'HEAD' });
  if (there.statusCode === 200) return;
  const opened = await ask(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(expect(opened, 202, 'opening an upload').headers.location ?? '', url);
  place.searchParams.set('digest', blob.digest);
  const body = 'file' in blob.content ? createReadStream(blob.content.file) : Readable.from([blob.content.text]);
  const headers = { 'content-type': 'application/octet-stream', 'content-length': blob.size };
  expect(await ask(place.href, { method: 'PUT', headers }, body), 201, `uploading ${blob.digest}`);
}

/** Uploads a manifest (its text as it is) under an image tag. */
export async function uploadManifest(
  url: string,
  repository: string,
  tag: string,
  manifest: { readonly mediaType: string; readonly text: string },
): Promise<void> {
  const headers = { 'content-type': manifest.mediaType, 'content-length': Buffer.byteLength(manifest.text) };
  const place = `${url}/v2/${repository}/manifests/${tag}`;
  const answer = await ask(place, { method: 'PUT', headers }, Readable.from([manifest.text]));
  expect(answer, 201, `uploading ${repository}:${tag}`);
}

async function ask(url: string, options: RequestOptions, body?: Readable): Promise<IncomingMessage> {
  const asked = request(url, { ...options, agent: false, timeout: 60_000 });
  asked.on('timeout', () => asked.destroy(new Error(`${url} does not answer`)));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asked.on('response', resolve);
    asked.on('error', reject);
  });
  if (body === undefined) asked.end();
  else {
    // The answer counts: a registry that has it all may close the connection before the last write is reported as done.
    body.on('error', (error) => asked.destroy(error));
    body.pipe(asked);
  }
  const answer = await answered;
  answer.resume();
  return answer;
}

function expect(answer: IncomingMessage, status: number, what: string): IncomingMessage {
  if (answer.statusCode === status) return answer;
  throw new Error(`${what}: the registry answered ${answer.statusCode}`);
}
