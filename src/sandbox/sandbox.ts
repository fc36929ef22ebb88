import { pushBaseImages, type BaseImage } from './base-images.ts';
import { startEngine, type Engine } from './engine.ts';
import { startNetwork, type Network } from './network.ts';
import { sweep } from './records.ts';
import { requireSandboxParts } from './requirements.ts';
import { startRegistry, type Registry } from './registry.ts';

/** A network with a registry that stands in for Docker Hub, and as many engines as are asked for. */
export interface Sandbox {
  readonly network: Network;
  readonly registry: Registry;
  /** Starts an engine that pulls from the registry, under real names too. */
  engine(name: string): Promise<Engine>;
  /** Lets everything outlive this process; `sweep({ kept: true })` ends it. */
  keep(): Promise<void>;
  /** Ends everything, whatever state it is in; may be called twice. */
  close(): Promise<void>;
}

/** Removes what killed runs left, then opens a sandbox whose registry holds these base images. */
export async function openSandbox(images: readonly BaseImage[]): Promise<Sandbox> {
  await requireSandboxParts();
  await sweep();
  const network = await startNetwork();
  try {
    const registry = await startRegistry(network);
    await pushBaseImages(registry.url, images);
    return assemble(network, registry);
  } catch (error) {
    await network.stop();
    throw error;
  }
}

function assemble(network: Network, registry: Registry): Sandbox {
  // Promises, so that closing while an engine is still starting waits for it and ends it too.
  const engines: Promise<Engine>[] = [];
  return {
    network,
    registry,
    engine(name) {
      const engine = startEngine({ name, network, registryMirror: registry.url });
      engines.push(engine);
      return engine;
    },
    async keep() {
      await network.keep();
      for (const engine of engines) await (await engine).keep();
    },
    async close() {
      const started = await Promise.allSettled(engines);
      await Promise.all(started.map((engine) => (engine.status === 'fulfilled' ? engine.value.stop() : undefined)));
      await network.stop();
    },
  };
}
