/** What a private key file says of itself without being opened. */
export interface PrivateKeyFacts {
  /** Opening it takes a passphrase. */
  readonly locked: boolean;
  /** The public half as SSH sends it, where the file tells it in clear. */
  readonly publicKey: Buffer | null;
}

const MAGIC = 'openssh-key-v1\0';

/** Reads the outside of a private key (OpenSSH's own format, or PEM); null for a text that is none. */
export function inspectPrivateKey(text: string): PrivateKeyFacts | null {
  const [, kind, body] = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----([^]*?)-----END \1PRIVATE KEY-----/.exec(text) ?? [];
  if (kind === undefined || body === undefined) return null;
  if (kind !== 'OPENSSH ')
    return { locked: kind === 'ENCRYPTED ' || /^Proc-Type:.*ENCRYPTED/m.test(body), publicKey: null };
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
  // magic, cipher, key derivation, its options, number of keys, first public key, ...
  const cipher = field(bytes, MAGIC.length);
  const derivation = field(bytes, cipher.end);
  const options = field(bytes, derivation.end);
  const publicKey = field(bytes, options.end + 4);
  return {
    locked: cipher.value.toString('latin1') !== 'none',
    publicKey: publicKey.value.length > 0 ? publicKey.value : null,
  };
}

/** A length in four bytes, and that many; empty beyond the end. */
function field(bytes: Buffer, at: number): { value: Buffer; end: number } {
  if (at + 4 > bytes.length) return { value: Buffer.alloc(0), end: bytes.length };
  const end = at + 4 + bytes.readUInt32BE(at);
  return end > bytes.length
    ? { value: Buffer.alloc(0), end: bytes.length }
    : { value: bytes.subarray(at + 4, end), end };
}
