import { bytesText } from '../domain/bytes.ts';
import type { Worker } from '../domain/inventory.ts';
import type { Text } from '../domain/text.ts';
import { MAIN_HOST, makePlan, type Json, type Plan, type Step } from './plan.ts';

/** What is to be removed from one host. */
export interface HostPrune {
  /** `main` or the worker's name. */
  readonly host: string;
  readonly worker: Worker | null;
  /** Names of images, or ids of those without one. */
  readonly images: readonly string[];
  readonly containers: readonly { readonly id: string; readonly name: string }[];
  /** Ids of the tasks whose containers stay. */
  readonly tasks: readonly string[];
  /** What the images take up on disk alone. */
  readonly bytes: number;
}

const CONTAINERS: Text = { en: 'remove ended tasks', zh: '删除已结束的任务' };
const IMAGES: Text = { en: 'remove old images', zh: '删除旧镜像' };
/** So many names are shown; the others are counted. */
const SHOWN = 4;

/**
 * Containers first: they hold on to images. What is gone cannot be brought back, but nothing that one can go back to needs it.
 *
 * @param records ids of the tasks that are over, with nothing left of them on any host
 */
export function planPrune(current: string, hosts: readonly HostPrune[], records: readonly string[]): Plan {
  const containers = hosts
    .filter(({ containers: ended }) => ended.length > 0)
    .map((each): Step => {
      const count = each.containers.length;
      return step('prune-containers', each, CONTAINERS, {
        title: { en: `remove ${count} ended task${count === 1 ? '' : 's'}`, zh: `删除 ${count} 个已结束的任务` },
        params: { ids: each.containers.map(({ id }) => id) },
      });
    });
  const images = hosts
    .filter(({ images: old }) => old.length > 0)
    .map((each): Step => {
      const names = namesOf(each.images);
      const bytes = bytesText(each.bytes);
      const count = each.images.length;
      return step('prune-images', each, IMAGES, {
        title: {
          en: `remove ${count} old image${count === 1 ? '' : 's'}, which frees ${bytes}: ${names}`,
          zh: `删除 ${count} 个旧镜像,释放 ${bytes}:${names}`,
        },
        params: { names: [...each.images], bytes: each.bytes },
      });
    });
  const steps = [...containers, ...images, ...(records.length === 0 ? [] : [forget(records)])];
  return makePlan({ command: 'prune', from: current, to: current, commit: null, steps });
}

function forget(records: readonly string[]): Step {
  const count = records.length;
  const title = {
    en: `remove ${count} record${count === 1 ? '' : 's'} of tasks that are over`,
    zh: `删除 ${count} 条已结束任务的记录`,
  };
  return { kind: 'prune-records', title, host: MAIN_HOST, params: { ids: [...records] } };
}

function step(
  kind: string,
  { host, worker }: HostPrune,
  wave: Text,
  what: { title: Text; params: { readonly [key: string]: Json } },
): Step {
  const where = worker as (Worker & { readonly [key: string]: Json }) | null;
  return { kind, title: what.title, host, wave, params: { worker: where, ...what.params } };
}

function namesOf(images: readonly string[]): string {
  const short = images.map((name) => (name.startsWith('sha256:') ? name.slice('sha256:'.length, 19) : name));
  return short.length > SHOWN ? `${short.slice(0, SHOWN).join(', ')}, …` : short.join(', ');
}
