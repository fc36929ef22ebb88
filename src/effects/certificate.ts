import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { readText } from './files.ts';

const DAY = 24 * 60 * 60 * 1000;
const RENEW_BEFORE = 30 * DAY;

/** The name of the authority that the stack's own certificates come from. */
export const AUTHORITY = 'xingrin local authority';

/** File names in the folder that nginx mounts: the chain and key it serves, and the authority that clients trust. */
export const CERTIFICATE_FILES = { chain: 'fullchain.pem', key: 'privkey.pem', authority: 'ca.pem' } as const;

export type CertificateState = 'good' | 'missing' | 'expiring';

/** Whether a folder holds a certificate to serve. `expiring` is only ever one that we made: others are their owner's. */
export async function certificateState(folder: string): Promise<CertificateState> {
  const { chain, key } = CERTIFICATE_FILES;
  const [chainText, keyText] = await Promise.all([readText(join(folder, chain)), readText(join(folder, key))]);
  if (chainText === null || keyText === null) return 'missing';
  try {
    const certificate = new X509Certificate(chainText);
    const ours = certificate.issuer.includes(AUTHORITY);
    return ours && Date.parse(certificate.validTo) - Date.now() < RENEW_BEFORE ? 'expiring' : 'good';
  } catch {
    // Not for us to judge what its owner put there.
    return 'good';
  }
}
