// The library's dependency injection wants it first.
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { AUTHORITY, CERTIFICATE_FILES as FILES } from './certificate.ts';
import { readText, writeFileAtomic } from './files.ts';

const DAY = 24 * 60 * 60 * 1000;
/** The longest that common clients accept for a server certificate. */
const LIFETIME = 825 * DAY;
/** Every agent holds the authority: it has to outlive many certificates. */
const AUTHORITY_LIFETIME = 3650 * DAY;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/**
 * Makes a certificate for the names that the stack is reached by, and signs it with an authority of the stack's own, so that
 * agents can verify it. The authority stays the same from one certificate to the next: nothing has to be told to the agents.
 *
 * @param folder what nginx serves from
 * @param vault where the authority's key is kept, in a file of mode 0600
 * @param names host names and IP addresses beside localhost and this machine's own
 */
export async function makeCertificate(folder: string, vault: string, names: readonly string[]): Promise<void> {
  x509.cryptoProvider.set(globalThis.crypto);
  const authority = (await keptAuthority(folder, vault)) ?? (await newAuthority(vault));
  const keys = await newKeys();
  const hosts = [...new Set(['localhost', '127.0.0.1', 'server', 'nginx', hostname(), ...names])];
  const certificate = await x509.X509CertificateGenerator.create({
    ...lasting(LIFETIME),
    subject: 'CN=localhost',
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isAddress(value) ? 'ip' : 'dns', value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
    ],
  });
  const [own, theirs] = [`${certificate.toString('pem')}\n`, `${authority.certificate.toString('pem')}\n`];
  await writeFileAtomic(join(folder, FILES.authority), theirs, { mode: 0o644 });
  await writeFileAtomic(join(folder, FILES.chain), own + theirs, { mode: 0o644 });
  // The key last: that is how a folder of ours that was left half-way is told from somebody's key.
  await writeFileAtomic(join(folder, FILES.key), await pemOf(keys), { mode: 0o600 });
}

/** The authority of the certificate before, if it can still sign one that ends before it does. */
async function keptAuthority(folder: string, vault: string): Promise<Authority | null> {
  const [text, key] = await Promise.all([readText(join(folder, FILES.authority)), readText(keyFile(vault))]);
  if (text === null || key === null) return null;
  try {
    const certificate = new x509.X509Certificate(text);
    const [privateKey, publicKey] = await Promise.all([
      webcrypto.subtle.importKey('pkcs8', derOf(key), ALGORITHM, false, ['sign']),
      webcrypto.subtle.importKey('spki', publicDerOf(key), ALGORITHM, true, ['verify']),
    ]);
    const fits = await certificate.verify({ publicKey });
    const lasts = certificate.notAfter.getTime() > Date.now() + LIFETIME;
    return fits && lasts ? { certificate, keys: { privateKey, publicKey } } : null;
  } catch {
    // Something else lies there: a new authority it is.
    return null;
  }
}

async function newAuthority(vault: string): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...lasting(AUTHORITY_LIFETIME),
    name: `CN=${AUTHORITY}`,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await writeFileAtomic(keyFile(vault), await pemOf(keys), { mode: 0o600 });
  return { certificate, keys };
}

function lasting(time: number): { notBefore: Date; notAfter: Date; signingAlgorithm: typeof ALGORITHM } {
  const now = Date.now();
  // A day back, for clients whose clock is slow.
  return { notBefore: new Date(now - DAY), notAfter: new Date(now + time), signingAlgorithm: ALGORITHM };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const exported = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${exported.match(/.{1,64}/g)?.join('\n') ?? ''}\n-----END PRIVATE KEY-----\n`;
}

function derOf(pem: string): Buffer<ArrayBuffer> {
  return Buffer.from(createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' }));
}

function publicDerOf(pem: string): Buffer<ArrayBuffer> {
  return Buffer.from(createPublicKey(pem).export({ format: 'der', type: 'spki' }));
}

function keyFile(vault: string): string {
  return join(vault, 'authority.pem');
}

function isAddress(name: string): boolean {
  return /^[\d.]+$|:/.test(name);
}
