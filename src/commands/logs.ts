import { fail } from '../domain/errors.ts';
import { requireCompose } from '../effects/engine.ts';
import { openCompose } from '../observe/stack.ts';
import { openProject } from '../observe/project.ts';
import { requireInstalled } from './installed.ts';
import type { Report, Session } from './session.ts';

/** Shows what services wrote, as it is; with --json the lines are in the document. */
export async function logsCommand(
  session: Session,
  options: { follow?: boolean; tail?: string; services?: readonly string[] },
): Promise<Report> {
  const project = await openProject(session.globals.project);
  await requireCompose();
  await requireInstalled(project);
  const tail = options.tail ?? '100';
  if (!/^(\d{1,7}|all)$/.test(tail)) {
    fail(
      'USAGE',
      { en: '--tail takes a whole number or "all"', zh: '--tail 须为整数或 all' },
      { hint: { en: 'xingrin logs --tail 100', zh: 'xingrin logs --tail 100' } },
    );
  }
  const compose = await openCompose(project);
  const known = Object.keys((await compose.model()).services);
  const services = options.services ?? [];
  const unknown = services.find((service) => !known.includes(service));
  if (unknown !== undefined) {
    fail(
      'USAGE',
      { en: `there is no service ${JSON.stringify(unknown)}`, zh: `没有服务 ${JSON.stringify(unknown)}` },
      { hint: { en: `services: ${known.join(', ')}`, zh: `可选服务:${known.join('、')}` } },
    );
  }
  const argv = ['logs', '--no-color', '--tail', tail, ...(options.follow === true ? ['--follow'] : []), ...services];
  if (session.globals.json) {
    const { stdout } = await compose.run(['logs', '--no-color', '--tail', tail, ...services]);
    return { data: { lines: stdout.split('\n').filter((line) => line !== '') } };
  }
  const result = await compose.run(argv, { inherit: true, signal: session.signal });
  return { data: {}, exitCode: session.signal.aborted ? 130 : result.code === 0 ? 0 : 1 };
}
