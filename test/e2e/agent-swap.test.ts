import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { swapAgent, takeAgentAway, type WorkerHost } from '../../src/apply/agent-swap.ts';
import { beginSwap, type AgentSpec } from '../../src/argv/agent.ts';
import { until } from '../until.ts';
import type { Connection } from '../../src/effects/transport.ts';
import { inspectAgents, parseAgents, type AgentContainer } from '../../src/observe/agents.ts';
import { failureOf } from './failure.ts';
import { openRig, type Rig } from './rig.ts';

let rig: Rig;
let host: WorkerHost;

/** What the product's agent is to a swap: something that goes on, and can be asked whether the server heard it. */
const AGENTS: Readonly<Record<string, { main: string; check: string }>> = {
  v1: { main: "trap 'exit 0' TERM; while :; do sleep 0.2; done", check: 'exit 0' },
  v2: { main: "trap 'exit 0' TERM; while :; do sleep 0.2; done", check: 'exit 0' },
  // Becomes healthy when it is told to, so that a test can be in the middle.
  waiting: { main: "trap 'exit 0' TERM; while :; do sleep 0.2; done", check: 'test -e /tmp/heard; exit' },
  mute: { main: 'echo nobody hears me; sleep 600', check: 'exit 1' },
  // Its tag says another version than the one it was built with.
  mistaken: { main: 'exit 0', check: 'exit 0' },
  dying: { main: 'echo "token $AGENT_TOKEN is wrong"; exit 3', check: 'exit 0' },
};
const TOKEN = 'a-secret-of-this-worker';

beforeAll(async () => {
  rig = await openRig(['busybox:1.37']);
  for (const [tag, { main, check }] of Object.entries(AGENTS)) {
    const script = `case $1 in check) ${check};; esac; ${main}`;
    const quoted = script.replaceAll("'", String.raw`'\''`);
    const lines = ['FROM busybox:1.37', `RUN mkdir -p /opt/agent && printf '%s' '${quoted}' > /opt/agent/agent.sh`];
    if (tag === 'v1' || tag === 'mistaken') lines.push('RUN echo v1 > /opt/agent/VERSION');
    const dockerfile = [...lines, 'CMD ["/bin/sh", "/opt/agent/agent.sh", ""]', ''].join('\n');
    await rig.must(['docker', 'build', '--quiet', '--tag', `team/xingrin-agent:${tag}`, '-'], { input: dockerfile });
  }
  await rig.must(['docker', 'tag', 'team/xingrin-agent:v1', 'team/xingrin-agent:first']);
  const start = ['RUN rm -rf /bin/sh', 'CMD ["/no/such/program"]'];
  const broken = ['FROM busybox:1.37', ...start, ''].join('\n');
  await rig.must(['docker', 'build', '--quiet', '--tag', 'team/xingrin-agent:broken', '-'], { input: broken });
  host = hostOf(rig);
});
afterAll(() => rig?.close());

beforeEach(async () => {
  await rig.docker(['rm', '--force', 'xingrin-agent', 'xingrin-agent-next']);
});

/** The rig's engine as a worker: programs run beside its daemon, with its /run. */
function hostOf({ engine }: Rig): WorkerHost {
  const connection: Connection = {
    async exec(argv, { input, timeout }) {
      const [file = '', ...args] = engine.namespace.enter(argv);
      const result = await execa(file, args, { reject: false, timeout, input: input ?? '', env: { DOCKER_HOST: '' } });
      return { code: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
    },
    close: async () => {},
  };
  return { name: 'w1', connect: async () => connection };
}

function spec(tag: string): AgentSpec {
  return {
    image: `team/xingrin-agent:${tag}`,
    version: tag,
    project: 'shop',
    workerId: 7,
    environment: {
      SERVER_URL: 'https://main.example:8083',
      WORKER_ID: '7',
      WORKER_NAME: `Ünïcode "7" $(reboot) it's\\`,
      IS_LOCAL: 'false',
      AGENT_TOKEN: TOKEN,
      SERVER_CA: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    },
  };
}

async function agents(): Promise<AgentContainer[]> {
  return parseAgents((await rig.docker(inspectAgents().slice(1))).stdout);
}

async function theOneAgent(): Promise<AgentContainer> {
  const [agent, ...others] = await agents();
  expect(others).toEqual([]);
  expect(agent).toMatchObject({ name: 'xingrin-agent', state: 'running' });
  if (agent === undefined) throw new Error('no agent');
  return agent;
}

test('the first agent runs as promised, and nothing shows its token', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  expect(await theOneAgent()).toMatchObject({ version: 'v1', health: 'healthy', project: 'shop', workerId: 7 });
  const [found] = JSON.parse(await rig.must(['docker', 'inspect', 'xingrin-agent'])) as {
    HostConfig: Record<string, unknown>;
    Config: { Env: string[] };
  }[];
  expect(found?.HostConfig).toMatchObject({
    RestartPolicy: { Name: 'always' },
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    Binds: ['/proc:/host/proc:ro'],
    Tmpfs: { '/tmp': '' },
    Privileged: false,
  });
  const { environment } = spec('v1');
  expect(found?.Config.Env).toEqual(
    expect.arrayContaining(Object.entries(environment).map(([key, value]) => `${key}=${value}`)),
  );
  const call = beginSwap('id', 60, 'mark', spec('v1'));
  expect(call.argv.join('\n')).not.toContain(TOKEN);
});

test('the very agent that is asked for stays; one from an image tag that moved does not', async () => {
  expect(await swapAgent(host, spec('v1'), { limit: 60 })).toBe('done');
  const { id } = await theOneAgent();
  expect(await swapAgent(host, spec('v1'), { limit: 60 })).toBe('unchanged');
  expect((await theOneAgent()).id).toBe(id);
  const renamed = { ...spec('v1'), environment: { ...spec('v1').environment, WORKER_NAME: 'another' } };
  expect(await swapAgent(host, renamed, { limit: 60 })).toBe('done');
  await rig.must(['docker', 'tag', 'team/xingrin-agent:v2', 'team/xingrin-agent:v1']);
  try {
    expect(await swapAgent(host, renamed, { limit: 60 })).toBe('done');
  } finally {
    await rig.must(['docker', 'tag', 'team/xingrin-agent:first', 'team/xingrin-agent:v1']);
  }
});

test('an agent that works takes the place of the old one', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  await swapAgent(host, spec('v2'), { limit: 60 });
  const agent = await theOneAgent();
  expect(agent).toMatchObject({ version: 'v2', health: 'healthy' });
  expect(agent.id).not.toBe(id);
});

test.for([
  ['mute', 4, 'in time', 'nobody hears me'],
  ['dying', 60, 'ended by itself', 'token *** is wrong'],
  ['broken', 60, 'could not be started', ''],
  ['missing', 60, 'could not be made', 'missing'],
  ['mistaken', 60, 'another version than its tag', 'holds an agent of version v1'],
] as const)('%s: the old agent, the very same, runs again', async ([tag, limit, reason, log]) => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  const failure = await failureOf(swapAgent(host, spec(tag), { limit }));
  expect(failure).toMatchObject({ code: 'UNHEALTHY', exitCode: 7, details: { host: 'w1' } });
  expect(failure.text.en).toContain(reason);
  expect(failure.details.evidence ?? '').toContain(log);
  expect(failure.details.evidence ?? '').not.toContain(TOKEN);
  expect((await theOneAgent()).id).toBe(id);
});

test('a first agent that fails leaves nothing', async () => {
  const failure = await failureOf(swapAgent(host, spec('mute'), { limit: 3 }));
  expect(failure.text.en).toContain('no other one before');
  expect(await agents()).toEqual([]);
});

/** In the middle: the old one is stopped, the new one runs and is not healthy yet. */
async function inTheMiddle(): Promise<void> {
  await until('the new agent to run', async () =>
    (await agents()).some(({ name, state }) => name === 'xingrin-agent-next' && state === 'running'),
  );
}

test('a second swap at the same time is told so; the first goes on with nobody watching', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { argv, input } = beginSwap('first', 60, 'mark', spec('waiting'));
  const connection = await host.connect();
  expect((await connection.exec(argv, { input, timeout: 60_000 })).stdout).toBe('begun');
  await inTheMiddle();
  const refused = await failureOf(swapAgent(host, spec('v2'), { limit: 60 }));
  expect(refused).toMatchObject({ code: 'LOCKED', exitCode: 5, details: { host: 'w1' } });
  const patient = swapAgent(host, spec('v2'), { limit: 60, patience: 120 });
  await rig.must(['docker', 'exec', 'xingrin-agent-next', 'touch', '/tmp/heard']);
  await until('the swap to end', async () => {
    const [agent] = await agents();
    return agent?.name === 'xingrin-agent' && agent.version === 'waiting';
  });
  expect(await patient).toBe('done');
  expect(await theOneAgent()).toMatchObject({ version: 'v2' });
});

test('a script that arrives in part does nothing', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  const { argv, input } = beginSwap('cut', 60, 'mark', spec('v2'));
  const connection = await host.connect();
  for (const share of [0.3, 0.9, 1 - 12 / input.length])
    await connection.exec(argv, { input: input.slice(0, Math.floor(input.length * share)), timeout: 60_000 });
  expect((await theOneAgent()).id).toBe(id);
});

test('the swap itself is killed: asking for it, or the next swap, brings the old one back', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  const swapping = failureOf(swapAgent(host, spec('waiting'), { limit: 120 }));
  await inTheMiddle();
  await killSwap();
  expect((await swapping).text.en).toContain('the old one runs again');
  expect((await theOneAgent()).id).toBe(id);
});

/** Kills the shell on the worker that does the swap. */
async function killSwap(): Promise<void> {
  const script =
    'for each in $(grep -lsa "sh.-s.--.begi[n]" /proc/[0-9]*/cmdline); do each=${each#/proc/}; kill -KILL "${each%/*}"; done; :';
  await rig.must(rig.engine.namespace.enter(['sh', '-c', script]));
}

test('the engine stops and starts in the middle: one agent runs, the old one', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  const swapping = failureOf(swapAgent(host, spec('waiting'), { limit: 120 }));
  await inTheMiddle();
  await rig.engine.halt();
  await rig.engine.boot();
  expect((await swapping).text.en).toContain('the old one runs again');
  expect((await theOneAgent()).id).toBe(id);
});

test('a reboot in the middle: the old one runs, and the next swap tidies up', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const { id } = await theOneAgent();
  const swapping = failureOf(swapAgent(host, spec('waiting'), { limit: 120 }));
  await inTheMiddle();
  await killSwap();
  await rig.must(rig.engine.namespace.enter(['rm', '-rf', '/run/xingrin']));
  await rig.engine.halt();
  await rig.engine.boot();
  expect((await swapping).details.host).toBe('w1');
  await until('the old agent to be back', async () =>
    (await agents()).some(({ name, state }) => name === 'xingrin-agent' && state === 'running'),
  );
  expect((await agents()).filter(({ state }) => state === 'running').map((each) => each.id)).toEqual([id]);
  await swapAgent(host, spec('v2'), { limit: 60 });
  expect(await theOneAgent()).toMatchObject({ version: 'v2' });
});

test('removing takes ours away, and nobody else', async () => {
  await swapAgent(host, spec('v1'), { limit: 60 });
  const sleep = ['run', '--detach', '--name', 'neighbour', 'busybox:1.37', 'sleep', '600'];
  await rig.must(['docker', ...sleep]);
  await takeAgentAway(host, 'another-project');
  await theOneAgent();
  await takeAgentAway(host, 'shop');
  expect(await agents()).toEqual([]);
  expect(await rig.must(['docker', 'ps', '--format', '{{.Names}}'])).toBe('neighbour');
  const left = await rig.must(rig.engine.namespace.enter(['sh', '-c', 'ls -d /run/xingrin 2>/dev/null || :']));
  expect(left).toBe('');
  await takeAgentAway(host, 'shop');
});
