import { addKeyArgv, hasKeyArgv, removeKeyArgv } from '../argv/authorized-keys.ts';
import { fail, UserError } from '../domain/errors.ts';
import { addressOf, parseInventory, withoutWorker, withWorker, type Worker } from '../domain/inventory.ts';
import type { Text } from '../domain/text.ts';
import { readText, writeFileAtomic } from '../effects/files.ts';
import { openFleet } from '../effects/fleet.ts';
import type { KeyRing } from '../effects/key-ring.ts';
import { ensureProjectKey, readPublicKey } from '../effects/project-key.ts';
import { sshWords, type Connection, type ExecResult } from '../effects/transport.ts';
import type { Project } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import { backUp } from './backups.ts';
import { unattendedRing } from './host-access.ts';
import { executor, type Executors } from './step.ts';

/** How steps get to workers. */
export interface WorkerAccess {
  readonly ring: KeyRing;
  /** Takes what the operator should know although the step went well. */
  readonly warn: (text: Text) => void;
}

type Params = { readonly worker: Worker & { readonly [key: string]: Json } };

/** Milliseconds for one small command over there. */
const LIMIT = 30_000;

/** Writing workers into the inventory, and getting the project's key to them. */
export function workerExecutors(project: Project, access: WorkerAccess = unattended(project)): Executors {
  return {
    'make-project-key': executor<{ readonly [key: string]: never }>({
      async apply() {
        if ((await readPublicKey(project.keys)) !== null) return 'unchanged';
        await ensureProjectKey(project.keys);
        return 'done';
      },
    }),
    'install-key': executor<Params, { readonly present: boolean; readonly [key: string]: boolean }>({
      async before({ worker }) {
        const key = await ensureProjectKey(project.keys);
        const { code } = await onWorker(access.ring, worker, (connection) =>
          connection.exec(hasKeyArgv(key), { timeout: LIMIT }),
        );
        return { present: code === 0 };
      },
      async apply({ worker }, { signal }, { present }) {
        const key = await ensureProjectKey(project.keys);
        const result = await onWorker(access.ring, worker, (connection) =>
          connection.exec(addKeyArgv(key), { timeout: LIMIT, signal }),
        );
        if (result.code !== 0) refuseKey(worker, result);
        await tryKey(worker, access);
        return present ? 'unchanged' : 'done';
      },
      async undo({ worker }, { present }) {
        const key = await readPublicKey(project.keys);
        if (present || key === null) return;
        // A host that has gone meanwhile keeps a key that is of no use to anybody; it must not keep us from going back.
        await onWorker(access.ring, worker, (connection) =>
          connection.exec(removeKeyArgv(key), { timeout: LIMIT }),
        ).catch(ignoreUserError);
      },
    }),
    'record-worker': executor<Params, { readonly before: Json; readonly [key: string]: Json }>({
      async before({ worker }) {
        const { workers } = parseInventory(await readText(project.inventoryFile), project.inventoryFile);
        return { before: (workers.find(({ id }) => id === worker.id) as Params['worker'] | undefined) ?? null };
      },
      async apply({ worker }) {
        const text = await readText(project.inventoryFile);
        await writeInventory(project, withWorker(text, worker));
        return 'done';
      },
      async undo({ worker }, { before }) {
        const text = await readText(project.inventoryFile);
        if (text === null) return;
        const old = before as Params['worker'] | null;
        await writeInventory(project, old === null ? withoutWorker(text, worker.id) : withWorker(text, old));
      },
    }),
  };
}

/** Writes the inventory whole, for its owner's eyes only, after a backup of what it said. Throws BAD_CONFIG (exit 2) rather than writing one that cannot be read. */
export async function writeInventory(project: Project, text: string): Promise<void> {
  parseInventory(text, project.inventoryFile);
  await backUp(project, 'inventory', new Date());
  await writeFileAtomic(project.inventoryFile, text, { mode: 0o600 });
}

/** What recovery has: the project's key, and nobody to ask. */
function unattended(project: Project): WorkerAccess {
  return { ring: unattendedRing(project), warn: () => {} };
}

/** Does something on one worker, over a connection that is closed afterwards. */
async function onWorker<T>(ring: KeyRing, worker: Worker, work: (connection: Connection) => Promise<T>): Promise<T> {
  const fleet = openFleet(ring);
  try {
    return await work(await fleet.connect(worker));
  } finally {
    await fleet.close();
  }
}

/** A server may look for keys elsewhere: then the way in stays what it was, unless that was a password, which is kept nowhere. */
async function tryKey(worker: Worker, { ring, warn }: WorkerAccess): Promise<void> {
  try {
    await onWorker(ring.ownOnly(), worker, async () => {});
  } catch (error) {
    if (!(error instanceof UserError && error.code === 'AUTHENTICATION')) throw error;
    const where = addressOf(worker);
    const text: Text = {
      en: `${where} does not let the project's key in, although it is in its ~/.ssh/authorized_keys`,
      zh: `${where} 的 ~/.ssh/authorized_keys 中已有本项目的公钥,但仍被拒绝`,
    };
    if (!ring.hasPassword) return warn(text);
    fail('AUTHENTICATION', text, {
      host: worker.name,
      hint: {
        en: 'its sshd must allow PubkeyAuthentication and read AuthorizedKeysFile .ssh/authorized_keys; see: sshd -T',
        zh: '请确认其 sshd 允许 PubkeyAuthentication,且 AuthorizedKeysFile 为 .ssh/authorized_keys;可用 sshd -T 查看',
      },
    });
  }
}

function refuseKey(worker: Worker, { stdout, stderr }: ExecResult): never {
  const where = addressOf(worker);
  fail(
    'FAILED',
    {
      en: `${where} let us in, but the project's key could not be written there`,
      zh: `已登录 ${where},但无法在那里写入本项目的公钥`,
    },
    {
      host: worker.name,
      evidence: (stderr || stdout).split('\n').slice(-5).join('\n'),
      hint: {
        en: `the user needs a shell and a home folder with room in it: ssh ${sshWords(worker)} 'df -h ~; ls -ld ~/.ssh'`,
        zh: `该用户需要可用的 shell 和有剩余空间的主目录:ssh ${sshWords(worker)} 'df -h ~; ls -ld ~/.ssh'`,
      },
    },
  );
}

function ignoreUserError(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
}
