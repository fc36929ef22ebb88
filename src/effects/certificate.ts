import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { readText } from './files.ts';

const DAY = 24 * 60 * 60 * 1000;
const RENEW_BEFORE = 30 * DAY;

/** The name of the authority that the stack's own certificates come from. */
export const AUTHORITY = 'xingrin local authority';

/** File names in the folder that nginx mounts: the chain and key it serves, and the authority that clients trust. */
export const CERTIFICATE_FILES = { chain: 'fullchain.pem', key: 'privkey.pem', authority: 'ca.pem' } as const;

/** `half`: somebody put a chain without its key there, or a key without its chain. */
export type CertificateState = 'good' | 'missing' | 'expiring' | 'half';

/** Whether a folder holds a certificate to serve. `expiring` is only ever one that we made: others are their owner's. */
export async function certificateState(folder: string): Promise<CertificateState> {
  const { chain, key } = CERTIFICATE_FILES;
  const [chainText, keyText] = await Promise.all([readText(join(folder, chain)), readText(join(folder, key))]);
  if (chainText === null && keyText === null) return 'missing';
  // We write the key last: a chain of ours without a key is where we were cut short.
  if (chainText === null || keyText === null) return isOurs(parsed(chainText)) ? 'missing' : 'half';
  const certificate = parsed(chainText);
  // Not for us to judge what its owner put there.
  if (certificate === null || !isOurs(certificate)) return 'good';
  return Date.parse(certificate.validTo) - Date.now() < RENEW_BEFORE ? 'expiring' : 'good';
}

/**
 * What a client must trust to believe the front door, as PEM: the authority in the folder where it vouches for what is served;
 * null where that is for the usual authorities to do.
 */
export async function trustedAuthority(folder: string): Promise<string | null> {
  const { chain, authority } = CERTIFICATE_FILES;
  const [chainText, text] = await Promise.all([readText(join(folder, chain)), readText(join(folder, authority))]);
  const [served, trusted] = [parsed(chainText), parsed(text)];
  return served !== null && trusted !== null && served.verify(trusted.publicKey) ? text : null;
}

/** When what is served ends to be valid; null where nothing readable is served. */
export async function certificateEnd(folder: string): Promise<Date | null> {
  const certificate = parsed(await readText(join(folder, CERTIFICATE_FILES.chain)));
  return certificate === null ? null : new Date(certificate.validTo);
}

/** Whether what is served was made by us; true as well where nothing readable is: we may make it. */
export async function certificateIsOurs(folder: string): Promise<boolean> {
  const certificate = parsed(await readText(join(folder, CERTIFICATE_FILES.chain)));
  return certificate === null || isOurs(certificate);
}

/** Whether what is served may be shown under this host name or address; null where nothing readable is served. */
export async function certificateCovers(folder: string, name: string): Promise<boolean | null> {
  const certificate = parsed(await readText(join(folder, CERTIFICATE_FILES.chain)));
  if (certificate === null) return null;
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

/** The first certificate of a PEM text. */
function parsed(text: string | null): X509Certificate | null {
  try {
    return text === null ? null : new X509Certificate(text);
  } catch {
    return null;
  }
}

function isOurs(certificate: X509Certificate | null): boolean {
  return certificate?.issuer.includes(AUTHORITY) === true;
}
