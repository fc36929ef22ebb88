import { readHistory } from '../observe/history.ts';
import { openProject } from '../observe/project.ts';
import { table } from '../ui/layout.ts';
import { tellInterrupted } from './recover.ts';
import type { Report, Session } from './session.ts';

/** Lists the deployments of this machine, newest first. */
export async function historyCommand(session: Session): Promise<Report> {
  const project = await openProject(session.globals.project);
  await tellInterrupted(session, project);
  const deployments = [...(await readHistory(project))].reverse();
  const zh = session.terminal.language === 'zh';
  const head = (zh ? ['时间', '操作', '版本', '提交'] : ['WHEN', 'COMMAND', 'VERSION', 'COMMIT']).map(
    session.paint.dim,
  );
  const rows = deployments.map(({ at, command, version, commit }) => [
    at.replace('T', ' ').slice(0, 19),
    command,
    version,
    commit?.slice(0, 10) ?? '-',
  ]);
  const nothing = zh ? '还没有部署记录' : 'nothing was deployed yet';
  return { data: { deployments }, text: rows.length === 0 ? nothing : table([head, ...rows]) };
}
