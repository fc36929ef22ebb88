import { join } from 'node:path';
import { backupExecutors } from '../apply/backups.ts';
import { bytesText } from '../domain/bytes.ts';
import type { BackupKind } from '../domain/backup.ts';
import { parseEnvFile, type EnvFile } from '../domain/env-file.ts';
import { fail, UserError } from '../domain/errors.ts';
import { parseInventory, type Worker } from '../domain/inventory.ts';
import { soundsSecret } from '../domain/redact.ts';
import { nearest } from '../domain/suggest.ts';
import { same, type Text } from '../domain/text.ts';
import { exists, readText } from '../effects/files.ts';
import { readBackups, type Backup } from '../observe/backups.ts';
import { imageTagOf } from '../observe/settings.ts';
import { openProject, type Project } from '../observe/project.ts';
import { changedKeys, changedWorkers, planBackup, planRestore } from '../plan/backup.ts';
import { table } from '../ui/layout.ts';
import { perform, type Proposal } from './perform.ts';
import { tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';

export interface BackupOptions {
  /** create, list or restore */
  readonly action: string;
  /** Which to restore; the newest that differs from docker/.env if absent. */
  readonly name?: string;
}

/** Copies of docker/.env and of the inventory: makes them, lists them, brings one back. */
export async function backupCommand(session: Session, { action, name }: BackupOptions): Promise<Report> {
  if (name !== undefined && action !== 'restore') {
    fail(
      'USAGE',
      { en: `backup ${action} takes no name`, zh: `backup ${action} 不接受备份名` },
      { hint: same(`xingrin backup restore ${name}`) },
    );
  }
  const project = await openProject(session.globals.project);
  if (action === 'create') return create(session, project);
  if (action === 'restore')
    return perform(session, project, 'backup restore', () => proposeRestore(session, project, name));
  await tellInterrupted(session, project);
  return list(session, await readBackups(project));
}

async function create(session: Session, project: Project): Promise<Report> {
  // It only adds a copy: nobody has to be asked.
  const agreed: Session = { ...session, globals: { ...session.globals, yes: true } };
  return perform(agreed, project, 'backup create', async () => {
    const text = await readText(project.envFile);
    if (text === null) refuseWithoutEnv(project);
    const kept = (await readBackups(project)).filter(({ current }) => current).map(({ kind }) => kind);
    const wanted: BackupKind[] = (await exists(project.inventoryFile)) ? ['env', 'inventory'] : ['env'];
    return {
      plan: planBackup(
        tagOf(readable(text, project.envFile)),
        wanted.filter((kind) => !kept.includes(kind)),
      ),
      executors: backupExecutors(project, session.now),
      report: async () => {
        const made = (await readBackups(project)).find(({ kind, current }) => kind === 'env' && current);
        const name = made?.name ?? null;
        return {
          data: { backup: name },
          text: [
            session.terminal.text({ en: `docker/.env is kept as ${name}`, zh: `docker/.env 已备份为 ${name}` }),
            command(session, { en: 'back', zh: '恢复' }, `xingrin backup restore ${name}`),
          ].join('\n'),
        };
      },
    };
  });
}

async function proposeRestore(session: Session, project: Project, wanted: string | undefined): Promise<Proposal> {
  const { name, kind } = choose(await readBackups(project), wanted, project);
  const path = join(project.backups, name);
  const text = (await readText(path)) ?? '';
  if (text.trim() === '' || text.includes('\ufffd')) {
    fail(
      'BAD_INPUT',
      { en: `${path} is empty or no text`, zh: `${path} 为空或不是文本` },
      { hint: { en: 'choose another: xingrin backup list', zh: '请选择其他备份:xingrin backup list' } },
    );
  }
  if (kind === 'inventory') return proposeInventory(session, project, name, text);
  const kept = parseEnvFile(text, path);
  const to = imageTagOf(kept);
  const presentText = await readText(project.envFile);
  const present = presentText === null ? null : readable(presentText, project.envFile);
  const changed = changedKeys(present, kept);
  warnOfSecrets(session, project, changed);
  return {
    plan: planRestore({ name, kind, from: tagOf(present), to, changed, isCurrent: text === presentText }),
    executors: backupExecutors(project, session.now),
    report: async () => ({
      data: { restored: name },
      text: [
        session.terminal.text({
          en: `docker/.env is what it was in ${name}`,
          zh: `docker/.env 已恢复为 ${name} 的内容`,
        }),
        command(session, { en: 'next', zh: '下一步' }, 'xingrin start'),
      ].join('\n'),
    }),
  };
}

/** A line with what to type, and what it is for before it. */
function command({ terminal, paint }: Session, what: Text, typed: string): string {
  return `${paint.command(terminal.text(what))}  ${typed}`;
}

/** What runs on the hosts is left alone: this is only about who is declared. */
async function proposeInventory(session: Session, project: Project, name: string, text: string): Promise<Proposal> {
  const named = ({ name: own }: { readonly name: string }): string => own;
  const after = parseInventory(text, join(project.backups, name)).workers.map(named);
  const presentText = await readText(project.inventoryFile);
  const before = presentText === null ? [] : workersIn(presentText, project.inventoryFile).map(named);
  const isCurrent = text === presentText;
  const changed = changedWorkers(before, after);
  return {
    plan: planRestore({ name, kind: 'inventory', from: null, to: null, changed, isCurrent }),
    executors: backupExecutors(project, session.now),
    report: async () => ({
      data: { restored: name },
      text: session.terminal.text({
        en: 'the inventory is back, ids that were given since stay given; see: xingrin worker list',
        zh: '清单已恢复,此后分配过的 ID 不会再次分配;查看:xingrin worker list',
      }),
    }),
  };
}

/** A damaged inventory declares nobody: that is what backups are for. */
function workersIn(text: string, path: string): readonly Worker[] {
  try {
    return parseInventory(text, path).workers;
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}

/** A database was made with its password: an older one locks everybody out. */
function warnOfSecrets(session: Session, project: Project, changed: readonly string[]): void {
  const secrets = changed.filter((key) => project.config.secrets.includes(key) || soundsSecret(key));
  if (secrets.length === 0) return;
  session.warn({
    en: `this changes secrets (${secrets.join(', ')}): what was set up with the present ones will not know the old ones`,
    zh: `此操作会改变密钥(${secrets.join('、')}):用当前密钥建立的数据将不认旧密钥`,
  });
}

function choose(backups: readonly Backup[], wanted: string | undefined, project: Project): Backup {
  const found =
    wanted === undefined
      ? backups.find(({ kind, readable: sound, current }) => kind === 'env' && sound && !current)
      : backups.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  if (wanted === undefined) {
    return fail(
      'PRECONDITION',
      {
        en: `${project.backups} holds no readable backup that differs from docker/.env`,
        zh: `${project.backups} 中没有与当前 docker/.env 不同且可读的备份`,
      },
      { hint: { en: 'xingrin backup list', zh: 'xingrin backup list' } },
    );
  }
  const names = backups.map(({ name }) => name);
  const meant = nearest(wanted, names);
  return fail(
    'USAGE',
    { en: `there is no backup ${JSON.stringify(wanted)}`, zh: `没有备份 ${JSON.stringify(wanted)}` },
    {
      hint:
        meant === null
          ? { en: 'xingrin backup list', zh: 'xingrin backup list' }
          : { en: `did you mean ${meant}?`, zh: `是否想输入 ${meant}?` },
    },
  );
}

function list({ terminal, paint }: Session, backups: readonly Backup[]): Report {
  const data = { backups: backups.map((backup) => ({ ...backup })) };
  if (backups.length === 0) return { data, text: terminal.text({ en: 'there are no backups yet', zh: '还没有备份' }) };
  const zh = terminal.language === 'zh';
  const head = zh ? ['名称', '时间', '大小', '内容'] : ['NAME', 'WHEN', 'SIZE', 'HOLDS'];
  const rows = backups.map(({ name, at, bytes, imageTag, workers, readable: sound, current }) => [
    name,
    at.replace('T', ' ').slice(0, 19),
    bytesText(bytes),
    sound ? (workers === null ? (imageTag ?? '-') : `${workers} worker`) : paint.bad(zh ? '无法读取' : 'unreadable'),
    current ? paint.good(zh ? '当前' : 'as now') : '',
  ]);
  return { data, text: table([head.map(paint.dim), ...rows]) };
}

/** The env file, or null where it is broken: that is what backups are for. */
function readable(text: string, path: string): EnvFile | null {
  try {
    return parseEnvFile(text, path);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function tagOf(env: EnvFile | null): string | null {
  try {
    return env === null ? null : imageTagOf(env);
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}

function refuseWithoutEnv(project: Project): never {
  return fail(
    'PRECONDITION',
    { en: `there is no ${project.envFile} to back up`, zh: `没有可备份的 ${project.envFile}` },
    { hint: { en: 'xingrin install', zh: 'xingrin install' } },
  );
}
