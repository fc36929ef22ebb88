import { expect, test } from 'vitest';
import { bakeDefinition, classicBuild, type ImageBuild } from '../../../src/argv/build.ts';

const IMAGE: ImageBuild = {
  name: 'xingrin-server',
  reference: 'team/xingrin-server:v1.0.0',
  dockerfile: 'docker/server/Dockerfile',
  context: '.',
  platforms: [],
  args: { IMAGE_TAG: 'v1.0.0' },
  labels: { 'org.opencontainers.image.version': 'v1.0.0' },
};

test('the classic builder', () => {
  expect(classicBuild({ ...IMAGE, platforms: ['linux/amd64'] })).toEqual([
    'docker',
    'build',
    '--tag',
    'team/xingrin-server:v1.0.0',
    '--file',
    'docker/server/Dockerfile',
    '--platform',
    'linux/amd64',
    '--build-arg',
    'IMAGE_TAG=v1.0.0',
    '--label',
    'org.opencontainers.image.version=v1.0.0',
    '--force-rm',
    '.',
  ]);
});

test("bake's definition: Dockerfiles as seen from the context, nothing read as a template", () => {
  const odd: ImageBuild = {
    ...IMAGE,
    name: 'a.b',
    context: 'services/a',
    dockerfile: 'docker/a/Dockerfile',
    platforms: ['linux/amd64', 'linux/arm64'],
    labels: { source: 'https://x/${HOME}%{if}' },
  };
  expect(JSON.parse(bakeDefinition([IMAGE, odd]))).toEqual({
    group: { default: { targets: ['xingrin-server', 'a_b_1'] } },
    target: {
      'xingrin-server': {
        context: '.',
        dockerfile: 'docker/server/Dockerfile',
        args: { IMAGE_TAG: 'v1.0.0' },
        labels: { 'org.opencontainers.image.version': 'v1.0.0' },
        tags: ['team/xingrin-server:v1.0.0'],
        output: ['type=image,push=true'],
      },
      a_b_1: expect.objectContaining({
        context: 'services/a',
        dockerfile: '../../docker/a/Dockerfile',
        labels: { source: 'https://x/$${HOME}%%{if}' },
        platforms: ['linux/amd64', 'linux/arm64'],
      }),
    },
  });
});
