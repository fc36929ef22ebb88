import { installHost, type HostPart } from '../effects/host-packages.ts';
import type { Json } from '../plan/plan.ts';
import { executor, type Executors } from './step.ts';

/** Installs what the machine lacks. Never taken back: others may use it by then. */
export function hostPartExecutors(): Executors {
  return {
    'install-parts': executor<{ readonly parts: readonly HostPart[]; readonly [key: string]: Json }>({
      async apply({ parts }, context) {
        await installHost(parts, (detail) => context.report({ detail }));
        return 'done';
      },
    }),
  };
}
