import { createHash } from 'node:crypto';

/** A host key as SSH sends it, in the form in which it is pinned: `ssh-ed25519 AAAA…`. */
export function hostKeyText(key: Buffer): string {
  const length = key.readUInt32BE(0);
  return `${key.toString('latin1', 4, 4 + length)} ${key.toString('base64')}`;
}

/** `SHA256:…`, as ssh shows it. */
export function fingerprint(hostKey: string): string {
  const [, body = ''] = hostKey.split(' ');
  const hash = createHash('sha256').update(Buffer.from(body, 'base64')).digest('base64');
  return `SHA256:${hash.replace(/=+$/, '')}`;
}
