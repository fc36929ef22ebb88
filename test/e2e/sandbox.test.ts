import { join } from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../until.ts';
import { httpStatus } from '../../src/effects/http-status.ts';
import { startEngine } from '../../src/sandbox/engine.ts';
import { startNetwork } from '../../src/sandbox/network.ts';
import { sweep } from '../../src/sandbox/records.ts';
import { openRig, type Rig } from './rig.ts';
import { traces } from './traces.ts';

let rig: Rig;
beforeAll(async () => {
  rig = await openRig(['busybox:1.37']);
});
afterAll(() => rig.close());

/** A web server of busybox in a container, on port 8080 of its engine. */
async function serve(docker: Rig['docker'], env: Record<string, string>, words: string): Promise<void> {
  const script = 'echo "$1" > /index.html; exec httpd -f -p 80 -h /';
  const ports = ['--publish', '8080:80', '--stop-signal', 'KILL'];
  const container = ['run', '--detach', ...ports, 'busybox:1.37', 'sh', '-c', script, 'sh', words];
  const started = await docker(container, { env });
  expect(started.stderr).toContain('Downloaded newer image for busybox:1.37');
  expect(started.exitCode).toBe(0);
}

describe('an engine of our own', () => {
  test('pulls under the real name through the mirror, and published ports answer at its address', async () => {
    await serve(rig.docker, rig.envFor(rig.engine), 'first');
    const page = await fetch(`http://${rig.engine.address}:8080/`);
    expect(await page.text()).toBe('first\n');
  });

  test('takes and gives images of a registry without TLS', async () => {
    const image = `${rig.sandbox.registry.address}/team/thing:v1`;
    await rig.must(['docker', 'pull', '--quiet', 'busybox:1.37']);
    await rig.must(['docker', 'tag', 'busybox:1.37', image]);
    await rig.must(['docker', 'push', '--quiet', image]);
    await rig.must(['docker', 'rmi', image]);
    expect(await rig.must(['docker', 'pull', '--quiet', image])).toBe(image);
  });

  test('is what a container finds at /var/run/docker.sock', async () => {
    const mount = '/var/run/docker.sock:/docker.sock';
    const words = ['run', '--rm', '--volume', mount, 'busybox:1.37', 'stat', '-c', '%i', '/docker.sock'];
    const inside = (await rig.docker(words)).stdout;
    expect(inside).toBe(await rig.must(['stat', '-c', '%i', rig.engine.socket]));
  });

  test('is apart from a second one, which it reaches over the network until the cable is cut', async () => {
    const other = await rig.sandbox.engine('other');
    expect((await rig.docker(['ps', '--quiet'], { env: rig.envFor(other) })).stdout).toBe('');
    await serve(rig.docker, rig.envFor(other), 'second');
    const ask = ['run', '--rm', 'busybox:1.37', 'wget', '-T', '1', '-q', '-O', '-', `http://${other.address}:8080/`];
    expect((await rig.docker(ask)).stdout).toBe('second');
    await other.cut();
    expect((await rig.docker(ask)).exitCode).not.toBe(0);
    await other.restore();
    expect((await rig.docker(ask)).stdout).toBe('second');
  });

  test('can be down and come back with its images', async () => {
    await rig.must(['docker', 'pull', '--quiet', 'busybox:1.37']);
    await rig.engine.halt();
    expect((await rig.docker(['ps'])).stderr).toContain('Cannot connect to the Docker daemon');
    await rig.engine.boot();
    expect(await rig.must(['docker', 'image', 'inspect', '--format', '{{.Architecture}}', 'busybox:1.37'])).not.toBe(
      '',
    );
  });

  test('leaves nothing behind, with containers running', async () => {
    const engine = await startEngine({
      name: 'short',
      network: rig.sandbox.network,
      registryMirror: rig.sandbox.registry.url,
    });
    await serve(rig.docker, rig.envFor(engine), 'third');
    expect(await traces([engine.id])).not.toEqual([]);
    await engine.stop();
    expect(await traces([engine.id])).toEqual([]);
  });
});

describe('the registry', () => {
  const answer = (limit: number): Promise<number | null> => {
    const [host = '', port] = rig.sandbox.registry.address.split(':');
    return httpStatus({ host, port: Number(port), path: '/v2/' }, limit);
  };

  test('hangs when paused, refuses when down, and comes back with what it held', async () => {
    const { registry } = rig.sandbox;
    await registry.pause();
    // A program with many threads stops one after the other.
    await until('silence', async () => (await answer(300)) === null);
    await registry.resume();
    expect(await answer(2_000)).toBe(200);
    await registry.down();
    expect(await answer(2_000)).toBeNull();
    await registry.up();
    expect((await fetch(`${registry.url}/v2/library/busybox/manifests/1.37`)).status).toBe(200);
  });
});

describe('networks', () => {
  test('opened at once get different addresses', async () => {
    const networks = await Promise.all([startNetwork(), startNetwork(), startNetwork()]);
    expect(new Set(networks.map((network) => network.subnet)).size).toBe(3);
    await Promise.all(networks.map((network) => network.stop()));
    expect(await traces(networks.map((network) => network.id))).toEqual([]);
  });
});

test('what a run left that was killed with -9 is swept away; what a living run has stays', async () => {
  const program = join(rig.folder, 'abandon.mjs');
  await build({
    stdin: {
      contents: `
        import { startEngine } from '../../src/sandbox/engine.ts';
        import { startNetwork } from '../../src/sandbox/network.ts';
        const network = await startNetwork();
        const engine = await startEngine({ name: 'abandoned', network });
        console.log(network.id + ' ' + engine.id);
        process.kill(process.pid, 'SIGKILL');`,
      resolveDir: new URL('.', import.meta.url).pathname,
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  const killed = await execa(process.execPath, [program], { reject: false });
  expect(killed.signal).toBe('SIGKILL');
  const ids = killed.stdout.split(' ');
  expect(await traces(ids)).not.toEqual([]);

  const swept = await sweep();

  expect(swept.toSorted()).toEqual(expect.arrayContaining(ids.toSorted()));
  expect(swept).not.toContain(rig.engine.id);
  await until('the engine of this run to answer', async () => (await rig.docker(['ps'])).exitCode === 0);
  expect(await traces(ids)).toEqual([]);
});
