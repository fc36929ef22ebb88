/** What is copied before it is changed: docker/.env, and the inventory of workers. */
export type BackupKind = 'env' | 'inventory';

/** Backups are named after the moment they were made in: `env-20260724T090501-120Z`, so that those of a kind sort by time. */
const NAME = /^(env|inventory)-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})-(\d{3})Z$/;

export function backupName(kind: BackupKind, at: Date): string {
  return `${kind}-${at.toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}

/** What a file of that name is a backup of, and when it was made (ISO 8601); null if no backup has such a name. */
export function readBackupName(name: string): { readonly kind: BackupKind; readonly at: string } | null {
  const [, kind, year, month, day, hour, minute, second, rest] = NAME.exec(name) ?? [];
  if (kind === undefined) return null;
  const at = `${year}-${month}-${day}T${hour}:${minute}:${second}.${rest}Z`;
  return Number.isNaN(Date.parse(at)) ? null : { kind: kind as BackupKind, at };
}

/** The names (of `names`, in any order) that go so that `kept` of a kind are left; never one of `spared`. */
export function superfluousBackups(
  names: readonly string[],
  kind: BackupKind,
  kept: number,
  spared: readonly string[],
): string[] {
  const mine = names.filter((name) => readBackupName(name)?.kind === kind).toSorted();
  const room = Math.max(0, kept - spared.filter((name) => mine.includes(name)).length);
  const others = mine.filter((name) => !spared.includes(name));
  return others.slice(0, Math.max(0, others.length - room));
}
