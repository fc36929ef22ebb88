import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  certificateCovers,
  certificateEnd,
  certificateState,
  trustedAuthority,
} from '../../../src/effects/certificate.ts';
import { makeCertificate } from '../../../src/effects/certificate-maker.ts';

let folder: string;
let vault: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xingrin-certificate-'));
  vault = join(folder, 'keys');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

test('the certificate is for the public name, localhost and nobody else, signed by the authority that clients trust', async () => {
  expect(await certificateState(folder)).toBe('missing');
  await makeCertificate(folder, vault, ['xingrin.example.com', '10.1.2.3']);
  expect(await certificateState(folder)).toBe('good');
  for (const name of ['xingrin.example.com', '10.1.2.3', 'localhost', '127.0.0.1'])
    expect(await certificateCovers(folder, name), name).toBe(true);
  for (const name of ['example.com', '10.1.2.4', 'a.xingrin.example.com'])
    expect(await certificateCovers(folder, name), name).toBe(false);
  const authority = new X509Certificate(read('ca.pem'));
  expect(authority.ca).toBe(true);
  expect(new X509Certificate(read('fullchain.pem')).ca).toBe(false);
  expect(await trustedAuthority(folder)).toBe(read('ca.pem'));
  expect((await certificateEnd(folder))?.getTime()).toBeGreaterThan(Date.now() + 800 * 86_400_000);
  for (const file of ['privkey.pem', 'keys/authority.pem'])
    expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
});

test('the next certificate is signed by the same authority, unless its key is gone', async () => {
  await makeCertificate(folder, vault, ['first.example.com']);
  const [authority, chain] = [read('ca.pem'), read('fullchain.pem')];
  await makeCertificate(folder, vault, ['second.example.com']);
  expect(read('ca.pem')).toBe(authority);
  expect(read('fullchain.pem')).not.toBe(chain);
  expect(await trustedAuthority(folder)).toBe(authority);
  unlinkSync(join(vault, 'authority.pem'));
  await makeCertificate(folder, vault, ['third.example.com']);
  expect(read('ca.pem')).not.toBe(authority);
  expect(await trustedAuthority(folder)).toBe(read('ca.pem'));
});

test("half a pair is somebody's, but for a chain of ours that was cut short", async () => {
  writeFileSync(join(folder, 'privkey.pem'), 'key');
  expect(await certificateState(folder)).toBe('half');
  writeFileSync(join(folder, 'fullchain.pem'), 'chain');
  expect(await certificateState(folder)).toBe('good');
  expect(await trustedAuthority(folder)).toBeNull();
  unlinkSync(join(folder, 'privkey.pem'));
  expect(await certificateState(folder)).toBe('half');
  await makeCertificate(folder, vault, []);
  unlinkSync(join(folder, 'privkey.pem'));
  expect(await certificateState(folder)).toBe('missing');
});

test('an authority that does not vouch for what is served is not to be trusted for it', async () => {
  await makeCertificate(folder, vault, []);
  const authority = read('ca.pem');
  unlinkSync(join(vault, 'authority.pem'));
  await makeCertificate(folder, vault, []);
  writeFileSync(join(folder, 'ca.pem'), authority);
  expect(await trustedAuthority(folder)).toBeNull();
});
