const SHORTEST = 6;

/** Blots out secret values wherever they stand in a text. Very short values are left: they would blot out words. */
export function redact(text: string, secrets: readonly string[]): string {
  const longestFirst = [...secrets].filter((secret) => secret.length >= SHORTEST).sort((a, b) => b.length - a.length);
  return longestFirst.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

/** Whether a key of docker/.env sounds like a secret. */
export function soundsSecret(key: string): boolean {
  return /PASSW(OR)?D|PASSPHRASE|(^|_)(PASS|PWD|KEY|DSN)$|SECRET|TOKEN|PRIVATE|CREDENTIAL|API_?KEY/i.test(key);
}

/** The password in an address such as `redis://user:password@host`, as it stands there; null if there is none. */
export function passwordInAddress(value: string): string | null {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#@]*?:([^/?#]+)@/i.exec(value)?.[1] ?? null;
}
