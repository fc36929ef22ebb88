/** Backups of docker/.env are named after the moment they were made in: `env-20260724T090501-120Z`, so that names sort by time. */
const NAME = /^env-(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})-(\d{3})Z$/;

export function backupName(at: Date): string {
  return `env-${at.toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}

/** When a backup of that name was made (ISO 8601), or null if no backup has such a name. */
export function backupTime(name: string): string | null {
  const [, year, month, day, hour, minute, second, rest] = NAME.exec(name) ?? [];
  if (year === undefined) return null;
  const at = `${year}-${month}-${day}T${hour}:${minute}:${second}.${rest}Z`;
  return Number.isNaN(Date.parse(at)) ? null : at;
}

/** The names (of `names`, in any order) that go so that `kept` are left; never one of `spared`. */
export function superfluousBackups(names: readonly string[], kept: number, spared: readonly string[]): string[] {
  const mine = names.filter((name) => backupTime(name) !== null).toSorted();
  const room = Math.max(0, kept - spared.filter((name) => mine.includes(name)).length);
  const others = mine.filter((name) => !spared.includes(name));
  return others.slice(0, Math.max(0, others.length - room));
}
