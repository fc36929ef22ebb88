import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../../src/domain/errors.ts';
import {
  apart,
  DEFAULT_IMAGES,
  dockerfileOf,
  imageName,
  isDigest,
  isImageName,
  parseRepository,
  splitReference,
} from '../../../src/domain/image.ts';

const digest = `sha256:${'a'.repeat(64)}`;

describe('parseRepository', () => {
  it.each([
    'yyhuni',
    'team/sub',
    'registry.example.com/team',
    'registry.example.com:5000/team/sub',
    'localhost/team',
    'localhost:5000',
    '127.0.0.1:5005/yyhuni',
    '[::1]:5000/team',
    'registry.example.com:5000',
    'a__b/c--d.e_f',
  ])('takes %s', (text) => expect(parseRepository(text, 'DOCKER_USER')).toBe(text));

  it.each([
    ['', 'empty'],
    ['Team', 'lower-case'],
    ['Team/sub', 'lower-case'],
    ['team/', 'lower-case'],
    ['/team', 'lower-case'],
    ['team//sub', 'lower-case'],
    ['team:tag', 'lower-case'],
    ['registry.example.com/team:v1.0.0', 'lower-case'],
    ['registry.example.com:port/team', 'lower-case'],
    ['-team', 'lower-case'],
    ['team/../x', 'lower-case'],
    ['a b', 'lower-case'],
    ['a\nb', 'lower-case'],
    ['$(id)', 'lower-case'],
    ['user@host/team', 'lower-case'],
    ['https://registry.example.com/team', 'protocol'],
    ['a'.repeat(300), 'longer'],
  ])('refuses %j', (text, rule) => {
    try {
      parseRepository(text, { en: 'DOCKER_USER', zh: '环境变量 DOCKER_USER' });
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      if (!(error instanceof UserError)) throw error;
      expect(error.exitCode).toBe(2);
      expect(error.text.en).toContain(rule);
      expect(error.text.zh).toContain('环境变量 DOCKER_USER');
    }
  });

  it('takes nothing that makes an image name which cannot be split again', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9./:_\-[\]@]{1,20}$/), (text) => {
        let repository: string;
        try {
          repository = parseRepository(text, 'repository');
        } catch {
          return;
        }
        const { registry, path, tag } = splitReference(imageName(repository, 'xingrin-server', 'v1.2.3'));
        expect(`${registry}/${path}`.endsWith('/xingrin-server')).toBe(true);
        expect(tag).toBe('v1.2.3');
      }),
    );
  });
});

it('two images are told apart by their tags where that is what differs', () => {
  expect(apart('r.example:5000/team/web:v1', 'r.example:5000/team/web:v2')).toEqual(['v1', 'v2']);
  expect(apart('team/web:v1', 'other/web:v1')).toEqual(['team/web:v1', 'other/web:v1']);
  expect(apart('team/web:v1', 'web@sha256:abc')).toEqual(['team/web:v1', 'web@sha256:abc']);
});

describe('splitReference', () => {
  it.each([
    ['redis', 'docker.io', 'library/redis', 'latest', null],
    ['redis:7-alpine', 'docker.io', 'library/redis', '7-alpine', null],
    ['docker.io/redis', 'docker.io', 'library/redis', 'latest', null],
    ['index.docker.io/library/redis', 'docker.io', 'library/redis', 'latest', null],
    ['yyhuni/xingrin-server:v1.1.0', 'docker.io', 'yyhuni/xingrin-server', 'v1.1.0', null],
    ['localhost/x', 'localhost', 'x', 'latest', null],
    ['127.0.0.1:5005/yyhuni/x:v1', '127.0.0.1:5005', 'yyhuni/x', 'v1', null],
    ['[::1]:5000/a/b', '[::1]:5000', 'a/b', 'latest', null],
    ['Registry/x', 'Registry', 'x', 'latest', null],
    [`redis@${digest}`, 'docker.io', 'library/redis', null, digest],
    [`registry.example.com/a/b:v1@${digest}`, 'registry.example.com', 'a/b', 'v1', digest],
  ])('%s', (reference, registry, path, tag, digestOf) => {
    expect(splitReference(reference)).toEqual({ registry, path, tag, digest: digestOf });
  });

  it.each(['', 'Redis', 'a:', 'a:b:c', ':tag', 'a@sha256:12', `@${digest}`, 'a b', 'a/', '/a', `a:${'t'.repeat(129)}`])(
    'refuses %j',
    (reference) => expect(() => splitReference(reference)).toThrow('not an image reference'),
  );
});

it('names the matrix as XingRin does', () => {
  expect(imageName('yyhuni', 'xingrin-worker', 'v1.1.0')).toBe('yyhuni/xingrin-worker:v1.1.0');
  expect(DEFAULT_IMAGES.map(dockerfileOf)).toEqual([
    'docker/server/Dockerfile',
    'docker/frontend/Dockerfile',
    'docker/nginx/Dockerfile',
    'docker/worker/Dockerfile',
    'docker/agent/Dockerfile',
  ]);
  expect(DEFAULT_IMAGES.every(isImageName)).toBe(true);
  expect(['', 'a/b', 'A', '-a', 'a:b', '..'].filter(isImageName)).toEqual([]);
  expect(isDigest(digest)).toBe(true);
  expect(isDigest('sha256:12')).toBe(false);
});
