import type { Finding } from '../domain/checkup.ts';
import type { Worker } from '../domain/inventory.ts';
import type { Text } from '../domain/text.ts';
import { makePlan, type Json, type Plan, type Step } from './plan.ts';

const FETCH: Text = { en: 'fetch missing images', zh: '拉取缺失的镜像' };
const AGENTS: Text = { en: 'start agents', zh: '启动 agent' };

/**
 * Mends what can be mended without taking anything from anybody; each thing once.
 *
 * @param current the version in force; null if nothing is installed
 */
export function planDoctor(current: string | null, findings: readonly Finding[], workers: readonly Worker[]): Plan {
  const steps = findings.flatMap(({ fix, host }): Step[] => {
    const worker = workers.find(({ name }) => name === host) ?? null;
    switch (fix?.kind) {
      case 'protect-file':
        return [step(fix.kind, host, { path: fix.path }, protectTitle(fix.path))];
      case 'renew-certificate':
        return [
          step(fix.kind, host, { folder: fix.folder, services: [...fix.services] }, certificateTitle(fix.services)),
        ];
      case 'fetch-image': {
        const { reference, digest } = fix;
        const title = { en: `pull ${reference}`, zh: `拉取 ${reference}` };
        return [step(fix.kind, host, { worker: plain(worker), reference, digest }, title, FETCH)];
      }
      case 'start-agent':
        return [step(fix.kind, host, { worker: plain(worker) }, { en: 'start its agent', zh: '启动其 agent' }, AGENTS)];
      // Whoever takes the lock recovers first: by now that is done.
      case 'recover':
      case undefined:
        return [];
    }
  });
  const unlike = steps.filter((each, index) => steps.findIndex((other) => isSame(other, each)) === index);
  const order = ['protect-file', 'renew-certificate', 'fetch-image', 'start-agent'];
  const ordered = unlike.toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  return makePlan({ command: 'doctor', from: current, to: current, commit: null, steps: ordered });
}

function step(kind: string, host: string, params: { readonly [key: string]: Json }, title: Text, wave?: Text): Step {
  return { kind, title, host, params, ...(wave === undefined ? {} : { wave }) };
}

function isSame(a: Step, b: Step): boolean {
  return a.kind === b.kind && a.host === b.host && a.title.en === b.title.en;
}

function protectTitle(path: string): Text {
  return { en: `let nobody else read ${path}`, zh: `禁止其他用户读取 ${path}` };
}

function certificateTitle(services: readonly string[]): Text {
  const names = services.join(', ');
  return { en: `make a new TLS certificate and restart ${names}`, zh: `生成新的 TLS 证书并重启 ${names}` };
}

function plain(worker: Worker | null): Json {
  return worker === null ? null : { ...worker, jumps: worker.jumps.map((each) => ({ ...each })) };
}
