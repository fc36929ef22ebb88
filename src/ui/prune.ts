import { bytesText } from '../domain/bytes.ts';
import type { Language } from '../domain/text.ts';
import type { Palette } from './colors.ts';
import { printable, table } from './layout.ts';

/** What became of one host. */
export interface PrunedHost {
  readonly host: string;
  /** What has gone. */
  readonly images: readonly string[];
  readonly containers: readonly string[];
  /** Images that were to go and are still there. */
  readonly left: readonly string[];
  /** Bytes. */
  readonly freed: number;
  /** Why the host could not be cleaned up; null if it was. */
  readonly error: string | null;
}

export function renderPruned(hosts: readonly PrunedHost[], language: Language, paint: Palette): string {
  const zh = language === 'zh';
  const head = zh ? ['主机', '已删镜像', '已删任务', '释放'] : ['HOST', 'IMAGES', 'TASKS', 'FREED'];
  const rows = hosts.map(({ host, images, containers, left, freed, error }) =>
    error === null
      ? [
          printable(host),
          String(images.length),
          String(containers.length),
          bytesText(freed),
          left.length === 0 ? '' : paint.caution(zh ? `${left.length} 个仍在使用` : `${left.length} still in use`),
        ]
      : [printable(host), '-', '-', '-', paint.bad(printable(error))],
  );
  return table([head.map(paint.dim), ...rows]);
}
