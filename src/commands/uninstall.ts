import { deploymentExecutors } from '../apply/deployment.ts';
import { fail } from '../domain/errors.ts';
import { requireCompose } from '../effects/engine.ts';
import { openCompose, ownContainers } from '../observe/stack.ts';
import { planUninstall } from '../plan/operations.ts';
import { requireInstalled } from './installed.ts';
import { perform } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

/** Removes the stack. Data goes only with --purge and the project's name typed out. */
export async function uninstallCommand(
  session: Session,
  options: { purge?: boolean; confirm?: string },
): Promise<Report> {
  const project = await openSoundProject(session.globals.project);
  return perform(session, project, 'uninstall', async () => {
    await requireCompose();
    const imageTag = await requireInstalled(project);
    const { name } = await (await openCompose(project)).model();
    const purge = options.purge === true;
    if (purge && options.confirm !== name) {
      fail(
        'CONFIRMATION_NEEDED',
        { en: '--purge deletes data: say which project you mean', zh: '--purge 会删除数据:请写明项目名' },
        {
          hint: {
            en: `xingrin uninstall --purge --confirm ${name}`,
            zh: `xingrin uninstall --purge --confirm ${name}`,
          },
        },
      );
    }
    const containers = (await ownContainers(project, name)).map((container) => container.name);
    return {
      plan: planUninstall(imageTag, name, containers, purge),
      executors: deploymentExecutors(project, session.now),
      report: async () => ({
        data: { project: name, purged: purge },
        text: session.terminal.text(
          purge
            ? {
                en: `${name} and its data are gone; docker/.env is still here`,
                zh: `${name} 及其数据已删除;docker/.env 仍保留`,
              }
            : {
                en: `${name} is removed; its data and docker/.env are still here`,
                zh: `${name} 已卸载;数据和 docker/.env 仍保留`,
              },
        ),
      }),
    };
  });
}
