// The library's dependency injection wants it first.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { AUTHORITY, CERTIFICATE_FILES as FILES } from './certificate.ts';
import { writeFileAtomic } from './files.ts';

const DAY = 24 * 60 * 60 * 1000;
/** The longest that common clients accept for a server certificate. */
const LIFETIME = 825 * DAY;

/**
 * Makes an authority of the stack's own and a certificate for the names it is reached by, so that agents can verify it. The
 * authority's key is not kept: nobody can sign with it later.
 *
 * @param names host names and IP addresses beside localhost and this machine's own
 */
export async function makeCertificate(folder: string, names: readonly string[]): Promise<void> {
  x509.cryptoProvider.set(globalThis.crypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
    webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [authorityKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const notBefore = new Date(Date.now() - DAY);
  const notAfter = new Date(Date.now() + LIFETIME);
  const common = { notBefore, notAfter, signingAlgorithm: algorithm };
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...common,
    name: `CN=${AUTHORITY}`,
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const hosts = [...new Set(['localhost', '127.0.0.1', 'server', 'nginx', hostname(), ...names])];
  const certificate = await x509.X509CertificateGenerator.create({
    ...common,
    subject: 'CN=localhost',
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const exported = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${exported.match(/.{1,64}/g)?.join('\n') ?? ''}\n-----END PRIVATE KEY-----\n`;
  // The key first: a certificate without its key is what `missing` means.
  await writeFileAtomic(join(folder, FILES.key), key, { mode: 0o600 });
  await writeFileAtomic(join(folder, FILES.authority), `${authority.toString('pem')}\n`, { mode: 0o644 });
  await writeFileAtomic(join(folder, FILES.chain), `${certificate.toString('pem')}\n${authority.toString('pem')}\n`, {
    mode: 0o644,
  });
}

function isAddress(name: string): boolean {
  return /^[\d.]+$|:/.test(name);
}
