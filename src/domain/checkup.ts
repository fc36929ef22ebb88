import type { Text } from './text.ts';

/** How something is. `unknown`: it could not be looked at, because of what another check found. */
export type Mark = 'good' | 'caution' | 'bad' | 'unknown';

/** What is looked at once for the whole installation, in the order in which it is shown. */
export const INSTALLATION_CHECKS = [
  'settings',
  'versions',
  'services',
  'tasks',
  'operations',
  'inventory',
  'registry',
  'tags',
  'pulls',
  'certificate',
  'git',
] as const;

/** What is looked at on every host. */
export const HOST_CHECKS = ['login', 'engine', 'image', 'agent', 'registry', 'disk', 'clock'] as const;

export type CheckName = (typeof INSTALLATION_CHECKS)[number] | (typeof HOST_CHECKS)[number];

/** Something that is not as it should be. */
export interface Complaint {
  /** For programs: never translated. */
  readonly code: string;
  /** Something does not work, or will not; otherwise it only may. */
  readonly grave: boolean;
  /** What was seen. */
  readonly seen: Text;
  /** Why it matters. */
  readonly why: Text;
  /** The command that mends it. */
  readonly mend: Text;
  /** What `doctor --fix` does about it; absent where that is the operator's to decide. */
  readonly fix?: Fix;
}

/** A mending that takes nothing away from anybody. */
export type Fix =
  | { readonly kind: 'protect-file'; readonly path: string }
  | { readonly kind: 'renew-certificate'; readonly folder: string; readonly services: readonly string[] }
  | { readonly kind: 'fetch-image'; readonly reference: string; readonly digest: string | null }
  | { readonly kind: 'start-agent' }
  | { readonly kind: 'recover' };

/** What one look has shown. */
export interface Look {
  /** What is, in a few words. */
  readonly fact: Text;
  readonly complaints: readonly Complaint[];
}

/** A look at one thing on one host. */
export interface Check extends Look {
  readonly name: CheckName;
  /** `main` for the main server and the installation as a whole, or the worker's name. */
  readonly host: string;
  /** Of the installation as a whole, not of its host. */
  readonly whole: boolean;
  readonly mark: Mark;
}

export interface Finding extends Complaint {
  readonly check: CheckName;
  readonly host: string;
}

/** Where a check belongs. */
export type Place = Pick<Check, 'name' | 'host' | 'whole'>;

export function checked(place: Place, look: Look): Check {
  const { complaints } = look;
  const mark = complaints.length === 0 ? 'good' : complaints.some(({ grave }) => grave) ? 'bad' : 'caution';
  return { ...place, ...look, mark };
}

/** @param because what came before it */
export function unchecked(place: Place, because: Text): Check {
  return { ...place, fact: because, complaints: [], mark: 'unknown' };
}

/**
 * The same check without offering to pull what cannot be pulled.
 *
 * @param mends what helps instead, by the reference of each such image
 */
export function withoutVainPulls(check: Check, mends: ReadonlyMap<string, Text>): Check {
  const complaints = check.complaints.map((complaint): Complaint => {
    const { fix, ...rest } = complaint;
    const mend = fix?.kind === 'fetch-image' ? mends.get(fix.reference) : undefined;
    return mend === undefined ? complaint : { ...rest, mend };
  });
  return { ...check, complaints };
}

/** The grave ones first, otherwise in the order of the checks. */
export function findingsOf(checks: readonly Check[]): Finding[] {
  const all = checks.flatMap(({ name, host, complaints }) =>
    complaints.map((complaint): Finding => ({ ...complaint, check: name, host })),
  );
  return [...all.filter(({ grave }) => grave), ...all.filter(({ grave }) => !grave)];
}
