import { describe, expect, it } from 'vitest';
import { configJsonSchema, parseConfig } from '../../../src/domain/config.ts';
import { UserError } from '../../../src/domain/errors.ts';

function refusal(text: string): UserError {
  try {
    parseConfig(text, 'xingrin.yaml');
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const defaults = {
  repository: null,
  mainBranch: 'main',
  images: ['server', 'frontend', 'nginx', 'worker', 'agent'].map((name) => ({
    name: `xingrin-${name}`,
    dockerfile: `docker/${name}/Dockerfile`,
    context: '.',
    platforms: [],
  })),
  compose: { directory: 'docker', file: 'docker-compose.yml', devFile: 'docker-compose.dev.yml' },
  secrets: ['DB_PASSWORD', 'DJANGO_SECRET_KEY'],
  hooks: {},
  health: { timeout: 300, stable: 3 },
  retention: { deployments: 5, backups: 10, taskDays: 7 },
  agent: { server: null },
};

it.each([null, '', '# nothing yet\n', '{}', '---\n', '\ufeff', 'health: {}\n'])(
  'fills in every default of %j',
  (text) => {
    expect(parseConfig(text, 'xingrin.yaml')).toEqual(defaults);
  },
);

it('takes what is said and fills in the rest', () => {
  const text = `
repository: registry.example.com:5000/team
mainBranch: release/2.x
images:
  - name: xingrin-server
  - { name: web, dockerfile: web/Dockerfile, context: web, platforms: [linux/amd64, linux/arm/v7] }
compose: { directory: deploy/compose }
secrets: [TOKEN]
hooks: { pre-update: scripts/before.sh }
health: { timeout: 1.5, stable: 0 }
retention: { deployments: 2 }
agent: { server: 'https://scan.example.com:8443' }
`;
  expect(parseConfig(text, 'xingrin.yaml')).toEqual({
    repository: 'registry.example.com:5000/team',
    mainBranch: 'release/2.x',
    images: [
      { name: 'xingrin-server', dockerfile: 'docker/server/Dockerfile', context: '.', platforms: [] },
      { name: 'web', dockerfile: 'web/Dockerfile', context: 'web', platforms: ['linux/amd64', 'linux/arm/v7'] },
    ],
    compose: { directory: 'deploy/compose', file: 'docker-compose.yml', devFile: 'docker-compose.dev.yml' },
    secrets: ['TOKEN'],
    hooks: { 'pre-update': 'scripts/before.sh' },
    health: { timeout: 1.5, stable: 0 },
    retention: { deployments: 2, backups: 10, taskDays: 7 },
    agent: { server: 'https://scan.example.com:8443' },
  });
});

describe('refuses, naming line, key and rule', () => {
  it.each([
    ['mainBranch: main\nrepositry: x', 2, 'unknown key "repositry"'],
    ['compose:\n  directory: docker\n  devfile: x', 3, 'compose unknown key "devfile"'],
    ['images:\n  - name: a\n  - name: b\n    platform: x', 4, 'images[1] unknown key "platform"'],
    ['__proto__: {}', 1, 'unknown key "__proto__"'],
    ['constructor: x', 1, 'unknown key "constructor"'],
    ['health:\n  timeout: soon', 2, 'health.timeout must be a number'],
    ['health:\n  timeout: 0', 2, 'health.timeout must be at least 1'],
    ['health:\n  timeout: .inf', 2, 'health.timeout must be'],
    ['health:\n  stable: -1', 2, 'health.stable must be at least 0'],
    ['retention:\n  backups: 1.5', 2, 'retention.backups must be a whole number'],
    ['retention:\n  deployments: 1', 2, 'retention.deployments must be at least 2'],
    ['health:', 1, 'health must be a group of keys'],
    ['[1]', 1, 'must be a group of keys'],
    ['just text', 1, 'must be a group of keys'],
    ['images: xingrin-server', 1, 'images must be a list'],
    ['images: []', 1, 'images must be at least 1'],
    ['images:\n  - dockerfile: x', 2, 'images[0].name is missing'],
    ['images:\n  - name: A', 2, 'images[0].name must be the name of an image'],
    ['images:\n  - name: -a', 2, 'images[0].name must be the name of an image'],
    ['images:\n  - name: a/b', 2, 'images[0].name must be the name of an image'],
    ['images:\n  - name: a\n  - name: a', 3, 'images[1] is "a", which stands there already'],
    ['images:\n  - name: a\n    dockerfile: ../x', 3, 'images[0].dockerfile must be a path inside the project'],
    ['images:\n  - name: a\n    context: /etc', 3, 'images[0].context must be a folder inside the project'],
    ['images:\n  - name: a\n    platforms: [amd64]', 3, 'images[0].platforms[0] a platform looks like'],
    ['compose:\n  directory: /docker', 2, 'compose.directory must be a path'],
    ['compose:\n  directory: docker/../..', 2, 'compose.directory must be a path'],
    ['compose:\n  directory: docker/', 2, 'compose.directory must be a path'],
    ['compose:\n  directory: .', 2, 'compose.directory must be a path'],
    ['compose:\n  file: -f', 2, 'compose.file must be a path'],
    ['compose:\n  file: "a\\nb"', 2, 'compose.file must be a path'],
    ['compose:\n  file: "a\\\\b"', 2, 'compose.file must be a path'],
    ['mainBranch: -main', 1, 'mainBranch must be the name of a git branch'],
    ['mainBranch: a..b', 1, 'mainBranch must be the name of a git branch'],
    ['repository: https://x', 1, 'repository must be a Docker Hub user'],
    ['repository: Team', 1, 'repository must be a Docker Hub user'],
    ['secrets: [A B]', 1, 'secrets[0] must be a key'],
    ['secrets: [A, A]', 1, 'secrets[1] is "A"'],
    ['agent:\n  server: ftp://x', 2, 'agent.server must be an address'],
    ['agent:\n  server: https://user:word@x', 2, 'agent.server must be an address'],
    ['hooks:\n  pre-updates: x', 2, 'hooks unknown key "pre-updates"'],
    ['a: 1\na: 2', 2, 'this key stands twice'],
    ['a: &x [1]\nb: *x', 2, 'aliases'],
    ['a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]', 2, 'aliases'],
    ['? [a]\n: b', 1, 'a key must be a name'],
    ['1: b', 1, 'a key must be a name'],
    ['a: !!js/function x', 1, 'tags'],
    ['a: 1\n---\nb: 2', 2, 'one document only'],
    ['health:\n\ttimeout: 1', 2, 'not with tabs'],
    ['a: [', 1, 'not YAML'],
    ['a: "x', 1, 'not YAML'],
    [`a: ${'['.repeat(20_000)}`, 1, ''],
    [`# ${'x'.repeat(300_000)}`, 1, 'larger than'],
  ])('%j', (text, line, rule) => {
    const error = refusal(text);
    expect(error.code).toBe('BAD_CONFIG');
    expect(error.exitCode).toBe(2);
    expect(error.text.en).toContain(`xingrin.yaml, line ${line}: `);
    expect(error.text.en).toContain(rule);
    expect(error.text.zh).toContain(`xingrin.yaml 第 ${line} 行:`);
  });

  it('in the order of the file, and says how many more there are', () => {
    expect(refusal('repository: X\nmainBranch: -x\nhealth: {timeout: 0}').text.en).toMatch(
      /line 1: .* \(and 2 more\)$/,
    );
  });

  it('with the key that was meant, or with all there are', () => {
    expect(refusal('repositry: x').details.hint?.en).toBe('did you mean "repository"?');
    expect(refusal('images: [{name: a, dockerFile: x}]').details.hint?.en).toBe('did you mean "dockerfile"?');
    expect(refusal('health: {xyz: 1}').details.hint?.en).toBe('known keys: timeout, stable');
  });
});

it('publishes its schema', () => {
  const schema = configJsonSchema();
  expect(schema).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    additionalProperties: false,
  });
  expect(Object.keys(schema.properties ?? {})).toEqual(Object.keys(defaults));
  expect(schema['required']).toBeUndefined();
  expect(schema.properties?.['mainBranch']).toMatchObject({ type: 'string', default: 'main' });
  expect(schema.properties?.['images']?.items).toMatchObject({ required: ['name'] });
});
