import { setTimeout as pause } from 'node:timers/promises';
import { UserError } from '../domain/errors.ts';
import { redact } from '../domain/redact.ts';
import type { Text } from '../domain/text.ts';
import type { Container } from '../effects/engine.ts';
import type { StepContext } from './step.ts';

/** Milliseconds between two looks at a container. */
const LOOK = 200;
/** Lines of a failing container's log that an error shows. */
const EVIDENCE_LINES = 20;

export interface HealthOptions {
  /** Seconds until we give up. */
  readonly timeout: number;
  /** Seconds that a container without a health check must run on without a restart. */
  readonly stable: number;
  /** Values that must not be shown, also not in a container's log. */
  readonly secrets: readonly string[];
  readonly look: () => Promise<readonly Container[]>;
  /** The last lines that a container wrote. */
  readonly log: (container: string, lines: number) => Promise<string>;
}

/**
 * Waits until a service is well: healthy where it has a health check, else running on without a restart. Throws UNHEALTHY
 * (exit 7) with its last log lines as soon as that cannot be expected any more, or after the time limit.
 */
export async function waitUntilWell(service: string, options: HealthOptions, context: StepContext): Promise<void> {
  const begin = Date.now();
  const restartsAtFirst = new Map<string, number>();
  const runningSince = new Map<string, number>();
  for (;;) {
    const containers = (await options.look()).filter((container) => container.service === service);
    for (const { id, restarts } of containers) if (!restartsAtFirst.has(id)) restartsAtFirst.set(id, restarts);
    const verdicts = containers.map((container) => judge(container, restartsAtFirst, runningSince, options.stable));
    const worst = containers.find((_container, index) => verdicts[index] === 'lost');
    if (worst !== undefined) throw await unhealthy(service, worst, options);
    if (containers.length > 0 && verdicts.every((verdict) => verdict === 'well')) return;
    if (Date.now() - begin > options.timeout * 1000) throw await unhealthy(service, containers[0] ?? null, options);
    if (context.signal.aborted) throw new UserError('INTERRUPTED', { en: 'interrupted', zh: '已被中断' });
    const [first] = containers;
    context.report({ detail: first === undefined ? service : `${service}: ${first.health ?? first.state}` });
    await pause(LOOK);
  }
}

/** For several who wait at once: they share one look at the containers, since asking the engine is what costs. */
export function sharedLook(look: HealthOptions['look']): HealthOptions['look'] {
  let asking: Promise<readonly Container[]> | null = null;
  return () => (asking ??= look().finally(() => (asking = null)));
}

type Verdict = 'well' | 'waiting' | 'lost';

function judge(
  container: Container,
  restartsAtFirst: ReadonlyMap<string, number>,
  runningSince: Map<string, number>,
  stable: number,
): Verdict {
  const restarts = container.restarts - (restartsAtFirst.get(container.id) ?? 0);
  if (container.health === 'unhealthy' || restarts >= 3) return 'lost';
  if (container.state === 'exited' || container.state === 'dead')
    return container.exitCode === 0 && restarts === 0 ? 'waiting' : 'lost';
  if (container.state !== 'running') {
    runningSince.delete(container.id);
    return 'waiting';
  }
  if (container.health !== null) return container.health === 'healthy' ? 'well' : 'waiting';
  const key = `${container.id} ${container.startedAt}`;
  if (!runningSince.has(key)) runningSince.set(key, Date.now());
  return Date.now() - (runningSince.get(key) ?? 0) >= stable * 1000 ? 'well' : 'waiting';
}

async function unhealthy(service: string, container: Container | null, options: HealthOptions): Promise<UserError> {
  const log = container === null ? '' : redact(await options.log(container.id, EVIDENCE_LINES), options.secrets);
  return new UserError('UNHEALTHY', container === null ? withoutContainer(service) : notWell(service, container), {
    ...(log === '' ? {} : { evidence: log }),
    hint: { en: `see its log above, or: xingrin logs ${service}`, zh: `请看上方日志,或执行 xingrin logs ${service}` },
  });
}

function withoutContainer(service: string): Text {
  return { en: `service ${service} has no container`, zh: `服务 ${service} 没有容器` };
}

/** A container that comes and goes may be seen at either moment: how often it was started again says it in both. */
function notWell(service: string, { state, health, exitCode, restarts }: Container): Text {
  const runs = state === 'running';
  const how = runs ? (health ?? state) : state;
  const code = runs || exitCode === 0 ? null : exitCode;
  return {
    en: `service ${service} is not well: ${how}${code === null ? '' : `, exit code ${code}`}${restarts === 0 ? '' : `, restarted ${restarts} times`}`,
    zh: `服务 ${service} 不正常:${how}${code === null ? '' : `,退出码 ${code}`}${restarts === 0 ? '' : `,已重启 ${restarts} 次`}`,
  };
}
