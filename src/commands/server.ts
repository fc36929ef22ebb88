import { redact } from '../domain/redact.ts';
import { openLog } from '../effects/log.ts';
import { openProject } from '../observe/project.ts';
import { serve } from '../server/serve.ts';
import { readSettings } from '../server/settings.ts';
import { sshTasks } from '../server/ssh-tasks.ts';
import { sshUpdater } from '../server/ssh-updater.ts';
import type { Report, Session } from './session.ts';

/** Runs the control plane until it is told to end; its log goes to stderr. */
export async function serverCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  const settings = await readSettings(process.env, project);
  const secrets = [settings.agentToken, settings.adminToken, settings.redisUrl ?? ''];
  const log = openLog(secrets, (line) => session.terminal.warn(line.trimEnd()));
  const serving = await serve({ project, settings, log, updater: sshUpdater(project), tasks: sshTasks(project, log) });
  if (!session.signal.aborted) {
    await new Promise<void>((resolve) => session.signal.addEventListener('abort', () => resolve(), { once: true }));
  }
  log.info('ending', { reason: redact(String(session.signal.reason), secrets) });
  await serving.close();
  return { data: { port: serving.port } };
}
