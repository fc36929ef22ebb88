import { parseDocument } from 'yaml';
import * as z from 'zod';

/** What we read of `docker compose config --format json`; the rest is kept for comparison only. */
const serviceSchema = z.looseObject({
  image: z.string().optional(),
  /** Present where the file says how the image is built. */
  build: z.unknown().optional(),
  develop: z.looseObject({ watch: z.array(z.unknown()).optional() }).nullish(),
  depends_on: z.record(z.string(), z.looseObject({ condition: z.string().optional() })).optional(),
  ports: z.array(z.looseObject({ published: z.union([z.string(), z.number()]).optional() })).optional(),
  volumes: z.array(z.looseObject({ type: z.string(), source: z.string().optional() })).optional(),
});
const modelSchema = z.looseObject({ name: z.string(), services: z.record(z.string(), serviceSchema) });

export type ComposeModel = z.infer<typeof modelSchema>;

export function parseComposeModel(json: string): ComposeModel {
  return modelSchema.parse(JSON.parse(json));
}

/** The project's name as a Compose file gives it, before anything is filled in; null if it gives none. */
export function nameInFile(yaml: string): string | null {
  const name: unknown = parseDocument(yaml, { logLevel: 'silent' }).get('name');
  return typeof name === 'string' && name !== '' ? name : null;
}

/**
 * The order in which services are brought to a new version, in waves that go side by side: each service after what it depends on, and
 * those that publish ports as late as that allows and one by one, so that the front door answers with the old version until everything
 * behind it is new.
 */
export function switchWaves(model: ComposeModel, wanted: readonly string[]): string[][] {
  const waves: string[][] = [];
  const left = new Set(wanted);
  while (left.size > 0) {
    const ready = [...left].filter((service) => dependenciesOf(model, service).every((name) => !left.has(name))).sort();
    const behind = ready.filter((service) => !publishesPorts(model, service));
    // Compose itself refuses circles; if one comes by, the names decide.
    const wave = behind.length > 0 ? behind : [ready[0] ?? ([...left].sort()[0] as string)];
    waves.push(wave);
    for (const service of wave) left.delete(service);
  }
  return waves;
}

/** A service and all that depend on it, directly or not. */
export function withDependents(model: ComposeModel, service: string): Set<string> {
  const found = new Set([service]);
  for (let grown = true; grown;) {
    grown = false;
    for (const name of Object.keys(model.services)) {
      if (found.has(name) || !dependenciesOf(model, name).some((dependency) => found.has(dependency))) continue;
      found.add(name);
      grown = true;
    }
  }
  return found;
}

/** The services whose images are built here, with the name that each gets; null where the file leaves that to Compose. */
export function builtServices(model: ComposeModel): { readonly service: string; readonly reference: string | null }[] {
  return Object.entries(model.services)
    .filter(([, { build }]) => build !== undefined && build !== null)
    .map(([service, { image }]) => ({ service, reference: image ?? null }));
}

/** Whether the file says of any service what Compose shall do when its sources change. */
export function isWatched(model: ComposeModel): boolean {
  return Object.values(model.services).some(({ develop }) => (develop?.watch ?? []).length > 0);
}

/** Services whose definition differs between two models, or which only the second has. */
export function changedServices(before: ComposeModel | null, after: ComposeModel): Set<string> {
  return new Set(
    Object.entries(after.services)
      .filter(([name, service]) => JSON.stringify(before?.services[name]) !== JSON.stringify(service))
      .map(([name]) => name),
  );
}

/** Absolute paths on the host that services mount: these ones, or all of them. */
export function bindSources(model: ComposeModel, services: readonly string[] = Object.keys(model.services)): string[] {
  const volumes = services.flatMap((service) => model.services[service]?.volumes ?? []);
  return volumes.filter((volume) => volume.type === 'bind').flatMap((volume) => volume.source ?? []);
}

function dependenciesOf(model: ComposeModel, service: string): string[] {
  return Object.keys(model.services[service]?.depends_on ?? {});
}

function publishesPorts(model: ComposeModel, service: string): boolean {
  return (model.services[service]?.ports ?? []).length > 0;
}
