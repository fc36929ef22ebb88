import type { ImageAnswer, PullBudget, RegistryFacts } from '../domain/check-registry.ts';
import type { HostFacts, WantedImage } from '../domain/check-host.ts';
import { UserError } from '../domain/errors.ts';
import { splitReference } from '../domain/image.ts';
import { credentialsFor } from '../effects/docker-credentials.ts';
import { Registry } from '../effects/registry.ts';
import { isUnreachable, whyUnreachable } from '../effects/registry-transport.ts';

/** What a registry says, and how its clock stands. */
export interface RegistryView extends RegistryFacts {
  /** Our clock against its. */
  readonly clock: HostFacts['clock'];
}

interface Asked {
  readonly registry: string;
  readonly path: string;
  readonly tag: string;
  readonly image: WantedImage;
}

const HUB = 'docker.io';
const HALF_A_SECOND = 0.5;

/**
 * Asks the registries of these images for each of them, without pulling anything: HEAD requests, which no registry counts.
 *
 * @param mirrors addresses that the engine asks before Docker Hub
 */
export async function readRegistries(
  images: readonly WantedImage[],
  mirrors: readonly string[],
): Promise<RegistryView[]> {
  const plain = mirrors.filter((url) => url.startsWith('http://')).map(hostOf);
  const registry = new Registry({ patient: false, plain });
  const asked = images.flatMap((image): Asked[] => {
    const { tag, ...place } = splitReference(image.reference);
    return tag === null ? [] : [{ ...place, tag, image }];
  });
  const names = [...new Set(asked.map((each) => each.registry))];
  return Promise.all(
    names.map(async (name) => {
      const wanted = asked.filter((each) => each.registry === name);
      for (const mirror of name === HUB ? mirrors.map(hostOf) : []) {
        const view = await readRegistry(registry, name, mirror, wanted);
        if (view.silence === null && view.images.every(({ status }) => status === 200)) return view;
      }
      return readRegistry(registry, name, null, wanted);
    }),
  );
}

async function readRegistry(
  registry: Registry,
  name: string,
  mirror: string | null,
  wanted: readonly Asked[],
): Promise<RegistryView> {
  const at = mirror ?? name;
  const login = (await credentialsFor(at)) !== null;
  const base = { registry: name, mirror, login, pulls: null, clock: null };
  try {
    const looks = await Promise.all(wanted.map((each) => look(registry, at, each)));
    const pulls = looks.map((each) => each.pulls).filter((each) => each !== null);
    return {
      ...base,
      silence: null,
      images: looks.map(({ answer }) => answer),
      pulls: pulls.reduce<PullBudget | null>(
        (least, each) => (least === null || each.left < least.left ? each : least),
        null,
      ),
      clock: looks[0]?.clock ?? null,
    };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const words = error.details.evidence ?? '';
    return { ...base, silence: { code: whyUnreachable(error), words }, images: [] };
  }
}

async function look(
  registry: Registry,
  at: string,
  { path, tag, image }: Asked,
): Promise<{ answer: ImageAnswer; pulls: PullBudget | null; clock: HostFacts['clock'] }> {
  const place = { registry: at, path };
  const began = Date.now();
  const { status, digest, pulls, clock } = await registry.look(place, tag);
  const ended = Date.now();
  const { reference, locked } = image;
  const repository = status === 404 ? await knows(registry, place) : null;
  const ahead = clock === null ? 0 : (began + ended) / 2_000 - (clock + HALF_A_SECOND);
  return {
    answer: { reference, status, digest, repository, locked },
    pulls,
    clock: clock === null ? null : { ahead, give: HALF_A_SECOND + (ended - began) / 2_000 },
  };
}

async function knows(registry: Registry, place: { registry: string; path: string }): Promise<boolean | null> {
  try {
    return await registry.knows(place);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}
