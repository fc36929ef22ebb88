import { join } from 'node:path';
import { readText, makeFolder, writeFileAtomic } from './files.ts';

/** Path of the private key that a project has of its own; workers let it in. */
export function projectKeyPath(keys: string): string {
  return join(keys, 'id_ed25519');
}

/** The project's public key as one line for authorized_keys; null before there is a key pair. */
export async function readPublicKey(keys: string): Promise<string | null> {
  const text = await readText(projectKeyPath(keys));
  if (text === null) return null;
  const { utils } = (await import('ssh2')).default;
  const key = utils.parseKey(text);
  // The private key is what counts: a public one beside it could be another's.
  if (key instanceof Error || Array.isArray(key)) return null;
  return `${key.type} ${key.getPublicSSH().toString('base64')} ${COMMENT}`;
}

/**
 * Makes the project's key pair where there is none.
 *
 * @returns the public key as one line
 * @throws PRECONDITION or DISK (exit 6) where it cannot be written
 */
export async function ensureProjectKey(keys: string): Promise<string> {
  const present = await readPublicKey(keys);
  if (present !== null) return present;
  const { utils } = (await import('ssh2')).default;
  const pair = utils.generateKeyPairSync('ed25519', { comment: COMMENT });
  await makeFolder(keys, 0o700);
  await writeFileAtomic(`${projectKeyPath(keys)}.pub`, `${pair.public}\n`, { mode: 0o644 });
  await writeFileAtomic(projectKeyPath(keys), `${pair.private.trimEnd()}\n`, { mode: 0o600 });
  return pair.public;
}

/** What the key is called where it is installed. */
const COMMENT = 'xingrin';
