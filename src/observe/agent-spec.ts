import { join } from 'node:path';
import type { AgentSpec } from '../argv/agent.ts';
import { envValue, parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import type { Worker } from '../domain/inventory.ts';
import { agentToken } from '../effects/agent-token.ts';
import { certificateCovers, trustedAuthority } from '../effects/certificate.ts';
import { readText } from '../effects/files.ts';
import { composeProjectName } from './stack.ts';
import type { Project } from './project.ts';
import { agentReference, notInstalled, serverAddress } from './worker-images.ts';

/**
 * What the agent of a remote worker is made from, as docker/.env and the stack's certificate say now. Holds a secret.
 *
 * @throws PRECONDITION (exit 6) before the stack is installed, or where nothing says under which address workers reach it
 */
export async function agentSpecFor(
  project: Project,
  worker: Pick<Worker, 'id' | 'name'>,
  version: string,
): Promise<AgentSpec> {
  const text = await readText(project.envFile);
  if (text === null) return notInstalled();
  const env = parseEnvFile(text, project.envFile);
  const { server } = project.config.agent;
  const address = server ?? serverAddress(env);
  if (address === null) {
    return fail(
      'PRECONDITION',
      {
        en: 'PUBLIC_HOST in docker/.env names this machine only for itself: an agent elsewhere could not reach the server',
        zh: 'docker/.env 中的 PUBLIC_HOST 只对本机有效:其他主机上的 agent 无法连接服务端',
      },
      {
        hint: {
          en: 'set PUBLIC_HOST to the name or address that workers reach this machine by, then: xingrin doctor --fix',
          zh: '请把 PUBLIC_HOST 设为 worker 可访问本机的域名或地址,然后:xingrin doctor --fix',
        },
      },
    );
  }
  const ssl = join(project.composeDirectory, 'nginx', 'ssl');
  // Who serves under another address than ours shows a certificate that we know nothing of.
  const ours = server === null || (await certificateCovers(ssl, new URL(server).hostname.replace(/^\[|\]$/g, '')));
  const [name, authority] = await Promise.all([
    composeProjectName(project),
    ours === true ? trustedAuthority(ssl) : null,
  ]);
  const secret = envValue(env, 'AGENT_TOKEN') ?? '';
  return {
    image: agentReference(project, env, version),
    version,
    project: name,
    workerId: worker.id,
    environment: {
      SERVER_URL: address,
      WORKER_ID: String(worker.id),
      WORKER_NAME: worker.name,
      IS_LOCAL: 'false',
      AGENT_TOKEN: secret === '' ? '' : agentToken(secret, worker.id),
      ...(authority === null ? {} : { SERVER_CA: authority }),
    },
  };
}
