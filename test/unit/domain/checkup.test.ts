import { describe, expect, test } from 'vitest';
import {
  checkAgent,
  checkClock,
  checkDisk,
  checkEngine,
  checkImage,
  type HostFacts,
} from '../../../src/domain/check-host.ts';
import { checkMirrors, checkProbes } from '../../../src/domain/check-reach.ts';
import { checkCertificate, checkGit, checkOperations, checkSettings } from '../../../src/domain/check-project.ts';
import {
  checkPulls,
  checkRegistry,
  checkTags,
  mendsOfMissing,
  type RegistryFacts,
} from '../../../src/domain/check-registry.ts';
import { checkExecutor, checkServices, checkVersions } from '../../../src/domain/check-versions.ts';
import { checked, findingsOf, unchecked, withoutVainPulls, type Look } from '../../../src/domain/checkup.ts';
import { same } from '../../../src/domain/text.ts';

const codes = ({ complaints }: Look): string[] => complaints.map(({ code }) => code);
const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;
const WORKER = 'yyhuni/xingrin-worker:v1.2.0';

const HOST: HostFacts = {
  clock: { ahead: 0, give: 0.6 },
  docker: 'answers',
  engine: '27.0.3',
  compose: '2.26.1',
  mirrors: [],
  insecure: { names: [], networks: [] },
  disk: { total: 100e9, free: 50e9, files: 5_000_000 },
  agent: { image: 'yyhuni/xingrin-agent:v1.2.0', state: 'running', health: 'healthy' },
  images: { [WORKER]: { id: 'sha256:1', digests: [`yyhuni/xingrin-worker@${DIGEST}`], size: 1_000_000 } },
  names: [WORKER],
};

const REGISTRY: RegistryFacts = {
  registry: 'docker.io',
  mirror: null,
  login: false,
  silence: null,
  images: [{ reference: WORKER, status: 200, digest: DIGEST, repository: null, locked: [DIGEST] }],
  pulls: null,
};

const answer = (status: number, more: Partial<RegistryFacts['images'][number]> = {}): RegistryFacts => ({
  ...REGISTRY,
  images: [{ reference: WORKER, status, digest: null, repository: null, locked: [DIGEST], ...more }],
});

describe('why an image cannot be pulled', () => {
  test.each([
    ['ENOTFOUND', 'REGISTRY_UNRESOLVED'],
    ['EAI_AGAIN', 'REGISTRY_UNRESOLVED'],
    ['ECONNREFUSED', 'REGISTRY_REFUSED'],
    ['TIMEOUT', 'REGISTRY_SILENT'],
    ['EHOSTUNREACH', 'REGISTRY_SILENT'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'REGISTRY_CERTIFICATE'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'REGISTRY_CERTIFICATE'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'REGISTRY_CERTIFICATE'],
    [null, 'REGISTRY_SILENT'],
  ])('is told by the code %s: %s', (code, wanted) => {
    expect(codes(checkRegistry({ ...REGISTRY, silence: { code, words: '' }, images: [] }))).toEqual([wanted]);
  });

  test('is told by the status of the answer', () => {
    expect(codes(checkRegistry(answer(401)))).toEqual(['LOGIN_MISSING']);
    expect(codes(checkRegistry({ ...answer(403), login: true }))).toEqual(['LOGIN_REFUSED']);
    expect(codes(checkRegistry(answer(503)))).toEqual(['REGISTRY_FAILING']);
    expect(codes(checkRegistry(REGISTRY))).toEqual([]);
    expect(codes(checkTags([answer(404, { repository: false })]))).toEqual(['NAME_UNKNOWN']);
    expect(codes(checkTags([answer(404, { repository: true })]))).toEqual(['TAG_MISSING']);
    expect(codes(checkTags([answer(404)]))).toEqual(['TAG_MISSING']);
    expect(codes(checkTags([answer(200, { digest: OTHER })]))).toEqual(['TAG_MOVED']);
    expect(codes(checkTags([answer(200, { digest: OTHER, locked: null })]))).toEqual([]);
    expect(codes(checkPulls([answer(429)], 5))).toEqual(['PULLS_SPENT']);
  });

  test('is foreseen while there are still pulls left', () => {
    const left = (count: number) => checkPulls([{ ...REGISTRY, pulls: { left: count, of: 100, window: 21_600 } }], 5);
    expect(codes(left(5))).toEqual([]);
    expect(left(5).fact.en).toBe('5 of 100 left in 6 h');
    expect(left(4).complaints).toMatchObject([{ code: 'PULLS_SCARCE', grave: false }]);
    expect(left(4).complaints[0]?.mend.en).toContain('docker login');
    expect(codes(left(0))).toEqual(['PULLS_SPENT']);
    expect(codes(checkPulls([REGISTRY], 5))).toEqual([]);
  });

  test('is looked at from each worker by what the program there ended with', () => {
    const probe = (program: 'curl' | 'wget' | 'none', code: number, status = 0) =>
      codes(checkProbes('registry.example.com', [{ program, code, status }], 'w1'));
    expect(probe('curl', 0, 401)).toEqual([]);
    expect(probe('curl', 6)).toEqual(['REGISTRY_UNRESOLVED']);
    expect(probe('curl', 7)).toEqual(['REGISTRY_REFUSED']);
    expect(probe('curl', 28)).toEqual(['REGISTRY_SILENT']);
    expect(probe('curl', 60)).toEqual(['REGISTRY_CERTIFICATE']);
    expect(probe('wget', 6)).toEqual([]);
    expect(probe('wget', 5)).toEqual(['REGISTRY_CERTIFICATE']);
    expect(probe('wget', 4)).toEqual(['REGISTRY_SILENT']);
    expect(probe('none', 0)).toEqual(['PROBE_IMPOSSIBLE']);
    const both = [
      { program: 'curl', code: 35, status: 0 },
      { program: 'curl', code: 0, status: 200 },
    ] as const;
    expect(codes(checkProbes('10.0.0.1:5000', both, 'w1'))).toEqual([]);
  });
});

test('nobody is told to pull what is not there', () => {
  const place = { name: 'image', host: 'w1', whole: false } as const;
  const check = checked(
    place,
    checkImage({ ...HOST, images: { [WORKER]: null } }, { reference: WORKER, locked: [DIGEST] }),
  );
  expect(check.complaints[0]?.fix?.kind).toBe('fetch-image');
  expect(withoutVainPulls(check, mendsOfMissing([answer(200)]))).toEqual(check);
  expect(withoutVainPulls(check, mendsOfMissing([answer(404, { repository: true })])).complaints).toEqual([
    expect.objectContaining({ code: 'WORKER_IMAGE_MISSING', mend: checkTags([answer(404)]).complaints[0]?.mend }),
  ]);
  const [vain] = withoutVainPulls(check, mendsOfMissing([answer(404)])).complaints;
  expect(vain?.fix).toBeUndefined();
});

describe('why tasks fail after an update', () => {
  const container = { image: 'yyhuni/xingrin-server:v1.1.0', imageId: '1', state: 'running', health: 'healthy' };
  const service = { service: 'server', wanted: 'yyhuni/xingrin-server:v1.1.0', wantedId: '1', container };

  test('VERSION, IMAGE_TAG and what tasks run', () => {
    expect(codes(checkVersions('v1.1.0', 'v1.1.0', true))).toEqual([]);
    const differ = checkVersions('v1.2.0', 'v1.1.0', true).complaints[0];
    expect(differ).toMatchObject({ code: 'VERSIONS_DIFFER', mend: same('xingrin update') });
    expect(checkVersions('v1.2.0', 'v1.1.0', false).complaints[0]?.mend.en).toBe('xingrin install');
    expect(codes(checkVersions(null, 'v1.1.0', true))).toEqual(['VERSION_MISSING']);
    const executor = (own: string, development = false) =>
      codes(checkExecutor({ own, usual: WORKER, imageTag: 'v1.2.0', development }));
    expect(executor('')).toEqual([]);
    expect(executor('yyhuni/xingrin-worker:v1.1.0')).toEqual(['TASKS_VERSION']);
    expect(executor('docker-worker:v1.2.0-dev')).toEqual(['DEVELOPMENT_LEFT']);
    expect(executor('docker-worker:v1.2.0-dev', true)).toEqual([]);
    expect(executor('somebody/tool:7')).toEqual([]);
  });

  const VERSIONS = { imageTag: 'v1.1.0', version: 'v1.1.0', leftOut: [] };

  test('services', () => {
    const one = (more: Partial<typeof container> | null, wanted = service.wanted, wantedId: string | null = '1') => {
      const other = { ...service, service: 'nginx' };
      const own = more === null ? null : { ...container, ...more };
      return codes(checkServices([{ service: 'server', wanted, wantedId, container: own }, other], VERSIONS));
    };
    expect(one({})).toEqual([]);
    expect(one({}, 'yyhuni/xingrin-server:v1.2.0')).toEqual(['SERVICE_VERSION']);
    expect(one({}, service.wanted, '2')).toEqual(['SERVICE_IMAGE']);
    expect(one({}, service.wanted, null)).toEqual([]);
    expect(one({ state: 'exited' })).toEqual(['SERVICE_DOWN']);
    expect(one(null)).toEqual(['SERVICE_DOWN']);
    expect(one({ health: 'unhealthy' })).toEqual(['SERVICE_UNHEALTHY']);
    expect(codes(checkServices([{ ...service, container: null }], VERSIONS))).toEqual(['STACK_DOWN']);
    const without = [service, { ...service, service: 'frontend', container: null }];
    expect(codes(checkServices(without, VERSIONS))).toEqual(['SERVICE_DOWN']);
    expect(checkServices(without, { ...VERSIONS, leftOut: ['frontend'] })).toEqual({
      fact: { en: '1 of 1 run; left out: frontend', zh: '1 个中有 1 个在运行;已略去 frontend' },
      complaints: [],
    });
    const other = [{ ...service, wanted: 'yyhuni/xingrin-server:v1.2.0' }];
    const mend = (version: string): string | undefined =>
      checkServices(other, { ...VERSIONS, version }).complaints[0]?.mend.en;
    expect([mend('v1.1.0'), mend('v1.2.0')]).toEqual(['xingrin start', 'xingrin update']);
  });

  test('the image and the agent of each host', () => {
    const wanted = { reference: WORKER, locked: [OTHER, DIGEST] };
    expect(codes(checkImage(HOST, wanted))).toEqual([]);
    expect(codes(checkImage(HOST, { reference: WORKER, locked: null }))).toEqual([]);
    expect(checkImage(HOST, { reference: WORKER, locked: [OTHER] }).complaints).toMatchObject([
      { code: 'WORKER_IMAGE_DIFFERS', fix: { kind: 'fetch-image', digest: OTHER } },
    ]);
    const old = { ...HOST, images: { [WORKER]: null }, names: ['yyhuni/xingrin-worker:v1.1.0', 'redis:7'] };
    const missing = checkImage(old, wanted).complaints[0];
    expect(missing?.code).toBe('WORKER_IMAGE_MISSING');
    expect(missing?.seen.en).toContain('what is here: v1.1.0');
    const agent = (more: object) =>
      codes(checkAgent({ ...HOST, agent: { ...HOST.agent, ...more } as never }, 'w1', 'v1.2.0'));
    expect(agent({})).toEqual([]);
    expect(agent({ image: 'yyhuni/xingrin-agent:v1.1.0' })).toEqual(['AGENT_VERSION']);
    expect(agent({ state: 'exited' })).toEqual(['AGENT_DOWN']);
    expect(agent({ health: 'unhealthy' })).toEqual(['AGENT_UNHEALTHY']);
    expect(codes(checkAgent({ ...HOST, agent: null }, 'w1', 'v1.2.0'))).toEqual(['AGENT_ABSENT']);
  });
});

describe('a host', () => {
  test.each([
    [{ docker: 'absent' }, ['ENGINE_ABSENT']],
    [{ docker: 'denied' }, ['ENGINE_DENIED']],
    [{ docker: 'silent', engine: null }, ['ENGINE_DOWN']],
    [{ engine: '19.03.5' }, ['ENGINE_OLD']],
    [{ compose: null }, ['COMPOSE_ABSENT']],
    [{ compose: '1.29.2' }, ['COMPOSE_OLD']],
    [{ engine: '20.10.24+dfsg1', compose: '5.0.1' }, []],
  ] as const)('with %j', (more, wanted) => {
    expect(codes(checkEngine({ ...HOST, ...more }, null))).toEqual(wanted);
  });

  test('needs no Compose if it is a worker', () => {
    expect(codes(checkEngine({ ...HOST, compose: null }, 'w1'))).toEqual([]);
  });

  test('must have room for one more version', () => {
    const disk = (free: number, files: number | null = null) =>
      codes(checkDisk({ ...HOST, disk: { total: 100e9, free, files } }, 2e9));
    expect(disk(8e9)).toEqual([]);
    expect(disk(6e9)).toEqual(['DISK_LOW']);
    expect(disk(2e9)).toEqual(['DISK_FULL']);
    expect(disk(8e9, 12)).toEqual(['INODES_LOW']);
    expect(codes(checkDisk({ ...HOST, disk: null }, 2e9))).toEqual([]);
  });

  test('must know the time, as far as that can be told from afar', () => {
    const clock = (ahead: number, give = 1) => checkClock({ clock: { ahead, give } }, same('the main server'), 'w1');
    expect(codes(clock(20))).toEqual([]);
    expect(codes(clock(35, 10))).toEqual([]);
    expect(clock(-60).complaints).toMatchObject([{ code: 'CLOCK_OFF', grave: false }]);
    expect(clock(86_400).complaints).toMatchObject([{ code: 'CLOCK_OFF', grave: true }]);
    expect(clock(-60).complaints[0]?.seen.en).toBe('its clock is 59 s behind the main server');
  });
});

describe('a project', () => {
  const settings = { path: '/x/docker/.env', mode: 0o100600 & 0o777, imageTag: 'v1.0.0', emptySecrets: [] };
  const now = new Date('2026-06-01T00:00:00Z');
  const certificate = {
    state: 'good' as const,
    folder: '/x/ssl',
    end: new Date('2027-06-01T00:00:00Z'),
    name: { host: 'scan.example.com', covered: true },
    services: ['nginx'],
    ours: true,
  };

  test('keeps its secrets', () => {
    expect(codes(checkSettings(settings))).toEqual([]);
    expect(codes(checkSettings({ ...settings, mode: 0o640, emptySecrets: ['AGENT_TOKEN'] }))).toEqual([
      'SETTINGS_EXPOSED',
      'SECRET_EMPTY',
    ]);
    expect(codes(checkSettings({ ...settings, mode: null }))).toEqual(['NOT_INSTALLED']);
    expect(codes(checkSettings({ ...settings, imageTag: null }))).toEqual(['NOT_INSTALLED']);
  });

  test('has a certificate that people believe', () => {
    const check = (more: Partial<typeof certificate> | { state: 'half' | 'missing' | 'expiring' }) =>
      checkCertificate({ ...certificate, ...more }, now).complaints;
    expect(check({})).toEqual([]);
    expect(check({ end: new Date('2026-06-10T00:00:00Z') })).toMatchObject([
      { code: 'CERTIFICATE_EXPIRES', grave: false, fix: { kind: 'renew-certificate' } },
    ]);
    const gone = check({ end: new Date('2026-05-10T00:00:00Z'), ours: false });
    expect(gone).toMatchObject([{ code: 'CERTIFICATE_EXPIRED', grave: true }]);
    expect(gone[0]?.fix).toBeUndefined();
    expect(check({ state: 'half' })).toMatchObject([{ code: 'CERTIFICATE_HALF' }]);
    expect(check({ state: 'missing' })).toMatchObject([{ code: 'CERTIFICATE_MISSING' }]);
    expect(check({ name: { host: 'other', covered: false } })).toMatchObject([{ code: 'CERTIFICATE_NAME' }]);
  });

  test('says who is at work and what was interrupted', () => {
    const running = { command: 'xingrin update', user: 'root', host: 'main', since: 'noon' };
    expect(codes(checkOperations({ running: null, interrupted: [] }))).toEqual([]);
    expect(codes(checkOperations({ running, interrupted: [] }))).toEqual(['OPERATION_RUNNING']);
    const interrupted = [{ what: 'update v1 → v2', at: 'noon' }];
    expect(codes(checkOperations({ running: null, interrupted }))).toEqual(['OPERATION_INTERRUPTED']);
  });

  test('can fetch new versions', () => {
    const git = { remote: 'answers' as const, name: 'origin', words: '', changed: [] as string[] };
    expect(codes(checkGit(git))).toEqual([]);
    expect(codes(checkGit({ ...git, remote: 'absent' }))).toEqual(['GIT_ABSENT']);
    expect(codes(checkGit({ ...git, remote: 'unnamed' }))).toEqual(['GIT_NO_REMOTE']);
    expect(codes(checkGit({ ...git, remote: 'silent', changed: ['a'] }))).toEqual(['GIT_SILENT', 'GIT_DIRTY']);
  });
});

test('the grave findings come first; what is unknown is no finding of its own', () => {
  const place = (name: 'git' | 'versions' | 'disk') => ({ name, host: 'main', whole: true });
  const complaint = (code: string, grave: boolean) => ({
    code,
    grave,
    seen: same(''),
    why: same(''),
    mend: same(''),
  });
  const checks = [
    checked(place('git'), { fact: same(''), complaints: [complaint('A', false)] }),
    unchecked(place('disk'), same('')),
    checked(place('versions'), { fact: same(''), complaints: [complaint('B', false), complaint('C', true)] }),
  ];
  expect(checks.map(({ mark }) => mark)).toEqual(['caution', 'unknown', 'bad']);
  expect(findingsOf(checks).map(({ code }) => code)).toEqual(['C', 'A', 'B']);
});

describe("the main server's mirror", () => {
  test('is missed where a worker asks none of those that it asks', () => {
    const main = ['https://mirror.example.com/', 'https://other.example.com'];
    const told = checkMirrors(['https://elsewhere.example.com'], main, 'w1');
    expect(told).toMatchObject({ code: 'MIRROR_MISSING', grave: false });
    expect(told?.mend.en).toContain('{"registry-mirrors":["https://mirror.example.com","https://other.example.com"]}');
    expect(checkMirrors(['https://other.example.com/'], main, 'w1')).toBeNull();
    expect(checkMirrors([], [], 'w1')).toBeNull();
  });
});
