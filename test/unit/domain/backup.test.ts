import { expect, test } from 'vitest';
import { backupName, readBackupName, superfluousBackups } from '../../../src/domain/backup.ts';

const AT = new Date('2026-07-24T09:05:01.120Z');

test('a name tells what it is of, and when it was made', () => {
  for (const kind of ['env', 'inventory'] as const) {
    const name = backupName(kind, AT);
    expect(name).toBe(`${kind}-20260724T090501-120Z`);
    expect(readBackupName(name)).toEqual({ kind, at: AT.toISOString() });
  }
  for (const other of [
    'env-20261324T090501-120Z',
    'env-x',
    'keys-20260724T090501-120Z',
    'env-20260724T090501-120Z.swp',
  ])
    expect(readBackupName(other), other).toBeNull();
});

test('the oldest of a kind go; those of the other kind, of other names, and those that are spared stay', () => {
  const at = (kind: 'env' | 'inventory', day: number): string =>
    backupName(kind, new Date(AT.getTime() + day * 86_400_000));
  const names = [at('env', 3), at('inventory', 0), at('env', 1), 'notes.txt', at('env', 0), at('env', 2)];
  expect(superfluousBackups(names, 'env', 2, [])).toEqual([at('env', 0), at('env', 1)]);
  expect(superfluousBackups(names, 'env', 2, [at('env', 0)])).toEqual([at('env', 1), at('env', 2)]);
  expect(superfluousBackups(names, 'inventory', 1, [])).toEqual([]);
});
