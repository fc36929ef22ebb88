import { request } from 'node:http';
import { UserError } from '../domain/errors.ts';
import { openLog } from '../effects/log.ts';
import { openMountedProject } from '../observe/project.ts';
import { serve } from './serve.ts';
import { readSettings } from './settings.ts';
import { sshTasks } from './ssh-tasks.ts';
import { sshUpdater } from './ssh-updater.ts';

/**
 * What the image xingrin-server runs: the control plane of the project at /project, or of the folder in PROJECT.
 * `check` instead asks the one that runs in this container, and ends with 0 if it can be asked.
 */
const PROJECT = process.env['PROJECT'] ?? '/project';

if (process.argv[2] === 'check') check();
else await run();

async function run(): Promise<void> {
  const say = (line: string): void => void process.stdout.write(line);
  try {
    const project = await openMountedProject(PROJECT);
    const settings = await readSettings(process.env, project);
    const log = openLog([settings.agentToken, settings.adminToken, settings.redisUrl ?? ''], say);
    const serving = await serve({
      project,
      settings,
      log,
      updater: sshUpdater(project),
      tasks: sshTasks(project, log),
    });
    const end = (signal: string): void => {
      log.info('ending', { reason: signal });
      void serving.close().finally(() => process.exit(0));
    };
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    openLog([], say).error(error.text.en, { code: error.code, hint: error.details.hint?.en });
    process.exit(error.exitCode);
  }
}

function check(): void {
  const port = Number(process.env['PORT'] || 8888);
  const asked = request({ host: '127.0.0.1', port, path: '/livez', timeout: 1_500, agent: false }, (answer) => {
    answer.resume();
    process.exitCode = answer.statusCode === 200 ? 0 : 1;
  });
  asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
  asked.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  asked.end();
}
