import { AGENT_CONTAINER } from '../argv/agent.ts';
import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { makeFileMode, readText } from '../effects/files.ts';
import { openCompose, ownContainers } from '../observe/stack.ts';
import type { Project } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import { onHost, unattendedAccess, type HostAccess } from './host-access.ts';
import { executor, type Executors } from './step.ts';

type Where = { readonly worker: (Worker & { readonly [key: string]: Json }) | null };
type Image = Where & { readonly reference: string; readonly digest: string | null; readonly [key: string]: Json };
type Certificate = { readonly folder: string; readonly services: readonly string[]; readonly [key: string]: Json };

/** Milliseconds: a slow line and a large image. */
const PULL_LIMIT = 3_600_000;
const LIMIT = 60_000;

/** What `doctor --fix` does. Nothing of it takes anything away, so there is nothing to undo. */
export function doctorExecutors(project: Project, access: HostAccess = unattendedAccess(project)): Executors {
  return {
    'protect-file': executor<{ readonly path: string; readonly [key: string]: Json }>({
      async apply({ path }) {
        await makeFileMode(path, 0o600);
        return 'done';
      },
    }),
    'renew-certificate': executor<Certificate>({
      async apply({ folder, services }) {
        await renew(project, folder);
        await restart(project, services);
        return 'done';
      },
    }),
    'fetch-image': executor<Image>({
      apply: ({ worker, reference, digest }, { signal, report }) =>
        onHost(access, worker, async (connection) => {
          // By its digest where that is known: then it does not matter what the image tag means by now.
          const name = digest === null ? reference : `${reference.replace(/:[^:/]*$/, '')}@${digest}`;
          const onLine = (line: string): void => report({ detail: line });
          const pulled = await connection.exec(['docker', 'pull', name], { timeout: PULL_LIMIT, signal, onLine });
          if (pulled.code !== 0) notPulled(name, pulled.stderr);
          if (digest !== null) await connection.exec(['docker', 'tag', name, reference], { timeout: LIMIT, signal });
        }),
    }),
    'start-agent': executor<Where & { readonly [key: string]: Json }>({
      apply: ({ worker }, { signal }) =>
        onHost(access, worker, async (connection) => {
          const argv = ['docker', 'container', 'start', AGENT_CONTAINER];
          const { code, stderr } = await connection.exec(argv, { timeout: LIMIT, signal });
          if (code !== 0)
            fail(
              'FAILED',
              { en: 'the agent cannot be started', zh: '无法启动 agent' },
              { evidence: lastLines(stderr) },
            );
        }),
    }),
  };
}

async function renew(project: Project, folder: string): Promise<void> {
  const text = await readText(project.envFile);
  const host = text === null ? undefined : envValue(parseEnvFile(text, project.envFile), 'PUBLIC_HOST');
  // Loaded only when needed: it is by far our heaviest library.
  const { makeCertificate } = await import('../effects/certificate-maker.ts');
  await makeCertificate(folder, project.keys, host === undefined || host === '' ? [] : [host]);
}

/** Those of them that run: they have read the old one. */
async function restart(project: Project, services: readonly string[]): Promise<void> {
  const compose = await openCompose(project);
  const containers = await ownContainers(project, (await compose.model()).name);
  const running = services.filter((service) =>
    containers.some((container) => container.service === service && container.state === 'running'),
  );
  if (running.length === 0) return;
  const { code, stderr } = await compose.run(['restart', ...running]);
  if (code !== 0) {
    const names = running.join(', ');
    fail('FAILED', { en: `cannot restart ${names}`, zh: `无法重启 ${names}` }, { evidence: lastLines(stderr) });
  }
}

function notPulled(name: string, told: string): never {
  fail(
    'IMAGE_MISSING',
    { en: `cannot pull ${name}`, zh: `无法拉取镜像 ${name}` },
    { evidence: lastLines(told), hint: { en: 'xingrin doctor says why', zh: 'xingrin doctor 会给出原因' } },
  );
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-5).join('\n');
}
