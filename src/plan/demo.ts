import { same, type Text } from '../domain/text.ts';
import { MAIN_HOST, makePlan, type Plan, type Step } from './plan.ts';

/** The two machines of the demo: where releases are made, and where the stack runs. */
export type Place = 'dev' | 'server';

/** What somebody types in the demo, and what is true afterwards. */
export interface Act {
  readonly name: string;
  readonly place: Place;
  /** As it would be typed there; a few words for the closing table. */
  readonly typed: string;
  /** The version that the front door must answer with afterwards; null while there is none. */
  readonly running: string | null;
}

export const FIRST = 'v1.0.0';
export const SECOND = 'v1.1.0';

/** The whole journey. */
export const ACTS = [
  { name: 'init', place: 'dev', typed: 'xingrin init shop', running: null },
  { name: 'release', place: 'dev', typed: `xingrin release ${FIRST}`, running: null },
  { name: 'publish', place: 'dev', typed: `xingrin publish ${FIRST}`, running: null },
  { name: 'install', place: 'server', typed: 'xingrin install', running: FIRST },
  { name: 'status', place: 'server', typed: 'xingrin status', running: FIRST },
  { name: 'heartbeat', place: 'server', typed: 'curl …/api/workers/', running: FIRST },
  { name: 'change', place: 'dev', typed: 'git commit; git push', running: FIRST },
  { name: 'release-again', place: 'dev', typed: `xingrin release ${SECOND}`, running: FIRST },
  { name: 'publish-again', place: 'dev', typed: `xingrin publish ${SECOND}`, running: FIRST },
  { name: 'update', place: 'server', typed: 'xingrin update', running: SECOND },
  { name: 'rollback', place: 'server', typed: 'xingrin rollback', running: FIRST },
] as const satisfies readonly Act[];

export type ActName = (typeof ACTS)[number]['name'];

/** Steps of the plan that are no acts. */
type SceneName = 'install-packages' | 'base-images' | 'open-sandbox' | 'close-sandbox';

/**
 * @param missing what has to be installed first, in words; empty if the machine has all of it
 * @param keep leave everything running
 */
export function planDemo(missing: readonly Text[], keep: boolean): Plan {
  const steps: Step[] = [];
  if (missing.length > 0) {
    const [en, zh] = [missing.map((part) => part.en).join(', '), missing.map((part) => part.zh).join('、')];
    steps.push(scene('install-packages', { en: `install with apt: ${en}`, zh: `用 apt 安装:${zh}` }));
  }
  steps.push(
    scene('base-images', {
      en: "make base images out of this machine's programs, in place of Docker Hub's",
      zh: '用本机的程序制作基础镜像,代替 Docker Hub',
    }),
    scene('open-sandbox', {
      en: 'start a network, a registry and a Docker engine apart from all others',
      zh: '启动独立的网络、镜像仓库和 Docker 引擎',
    }),
    ...ACTS.map((act) => demoStep(act.name, same(`${act.place}$ ${act.typed}`))),
  );
  if (!keep) steps.push(scene('close-sandbox', { en: 'remove all of it again', zh: '全部清除' }));
  return makePlan({ command: 'demo', from: null, to: FIRST, commit: null, steps });
}

/** What `demo --clean` does, or an empty plan. */
export function planCleaning(folders: readonly string[]): Plan {
  const steps = folders.map((folder) =>
    demoStep('remove-demo', { en: `remove the demo in ${folder}`, zh: `清除位于 ${folder} 的演示` }),
  );
  return makePlan({ command: 'demo', from: null, to: null, commit: null, steps });
}

function scene(name: SceneName, title: Text): Step {
  return demoStep(name, title);
}

function demoStep(kind: string, title: Text): Step {
  return { kind, title, host: MAIN_HOST, params: null };
}
