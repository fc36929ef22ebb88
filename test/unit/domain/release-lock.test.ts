import { describe, expect, it } from 'vitest';
import { UserError } from '../../../src/domain/errors.ts';
import {
  compareDigests,
  formatReleaseLock,
  lockPath,
  parseReleaseLock,
  type ReleaseLock,
} from '../../../src/domain/release-lock.ts';
import { parseVersion } from '../../../src/domain/version.ts';

const version = parseVersion('v1.2.3', 'test');
const one = `sha256:${'1'.repeat(64)}`;
const two = `sha256:${'2'.repeat(64)}`;
const three = `sha256:${'3'.repeat(64)}`;
const lock: ReleaseLock = {
  version,
  commit: 'a'.repeat(40),
  images: {
    'xingrin-worker': {
      repository: 'registry.example.com:5000/team',
      digest: one,
      platforms: { 'linux/arm64': three, 'linux/amd64': two },
    },
    'xingrin-agent': { repository: 'yyhuni', digest: two, platforms: { 'linux/amd64': two } },
  },
};

it('is written in one order, and read again', () => {
  const text = formatReleaseLock(lock);
  expect(text).toBe(`{
  "schema": "xingrin-release/v1",
  "version": "v1.2.3",
  "commit": "${'a'.repeat(40)}",
  "images": {
    "xingrin-agent": {
      "repository": "yyhuni",
      "digest": "${two}",
      "platforms": {
        "linux/amd64": "${two}"
      }
    },
    "xingrin-worker": {
      "repository": "registry.example.com:5000/team",
      "digest": "${one}",
      "platforms": {
        "linux/amd64": "${two}",
        "linux/arm64": "${three}"
      }
    }
  }
}
`);
  expect(lockPath(version)).toBe('releases/v1.2.3.json');
  expect(parseReleaseLock(text, lockPath(version))).toEqual(lock);
});

it.each([
  ['', 'not JSON'],
  ['<<<<<<< HEAD', 'not JSON'],
  ['null', 'must be a group of keys'],
  [change({ schema: 'xingrin-release/v2' }), 'schema must be xingrin-release/v1'],
  [change({ version: 'v1.2' }), 'version must be a version'],
  [change({ version: 'v1.2.4' }), 'it is the lock of "v1.2.4"'],
  [change({ version: undefined }), 'version is missing'],
  [change({ commit: 'abc' }), 'commit must be a whole commit id'],
  [change({ images: {} }), 'images must not be empty'],
  [change({ images: { '../x': lock.images['xingrin-agent'] } }), 'must be the name of an image'],
  [image({ digest: 'sha256:12' }), 'images.xingrin-agent.digest must be sha256:'],
  [image({ repository: 'a b' }), 'images.xingrin-agent.repository must be an image repository'],
  [image({ platforms: {} }), 'images.xingrin-agent.platforms must not be empty'],
  [image({ platforms: { amd64: one } }), 'a platform looks like linux/amd64'],
])('refuses %s', (text, rule) => {
  try {
    parseReleaseLock(text, 'releases/v1.2.3.json');
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.exitCode).toBe(2);
    expect(error.text.en).toContain('releases/v1.2.3.json');
    expect(error.text.en).toContain(rule);
  }
});

describe('compareDigests', () => {
  it('takes the digest of the index or of a platform', () => {
    expect(compareDigests(lock, { 'xingrin-worker': one, 'xingrin-agent': two })).toEqual([]);
    expect(compareDigests(lock, { 'xingrin-worker': three })).toEqual([]);
    expect(compareDigests(lock, {})).toEqual([]);
  });

  it('names what moved, what is absent and what is foreign', () => {
    expect(compareDigests(lock, { 'xingrin-agent': one, 'xingrin-worker': null, constructor: one })).toEqual([
      { image: 'xingrin-agent', expected: two, observed: one },
      { image: 'xingrin-worker', expected: one, observed: null },
      { image: 'constructor', expected: null, observed: one },
    ]);
  });
});

function change(parts: object): string {
  return JSON.stringify({ ...JSON.parse(formatReleaseLock(lock)), ...parts });
}

function image(parts: object): string {
  return change({ images: { 'xingrin-agent': { ...lock.images['xingrin-agent'], ...parts } } });
}
