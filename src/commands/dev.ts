import { deploymentExecutors } from '../apply/deployment.ts';
import { watchServices } from '../argv/compose.ts';
import { isWatched } from '../domain/compose-model.ts';
import { saysDevelopment } from '../domain/development.ts';
import { parseEnvFile } from '../domain/env-file.ts';
import { fail } from '../domain/errors.ts';
import { same } from '../domain/text.ts';
import { parseImageTag, type Version } from '../domain/version.ts';
import { Compose, requireCompose } from '../effects/engine.ts';
import { exists, readText } from '../effects/files.ts';
import { keepOutOfGit } from '../effects/exclude.ts';
import { observeDeployment } from '../observe/deployment.ts';
import { imageTagOf } from '../observe/settings.ts';
import { openCompose, ownContainers } from '../observe/stack.ts';
import { readVersion, type Project } from '../observe/project.ts';
import type { Target } from '../observe/target.ts';
import { planBuild, planLeave } from '../plan/deployment.ts';
import { makePlan } from '../plan/plan.ts';
import { printable } from '../ui/layout.ts';
import { proposeDeployment, reportStatus } from './deploy.ts';
import { perform, type Proposal } from './perform.ts';
import type { Report, Session } from './session.ts';
import { openSoundProject } from './sound-project.ts';

export interface DevOptions {
  /** build, up or down */
  readonly action: string;
  readonly frontend?: boolean;
  readonly watch?: boolean;
}

/** Development mode: builds images from the files as they are, runs them, or leaves the mode. */
export async function devCommand(session: Session, options: DevOptions): Promise<Report> {
  if (options.watch === true && options.action !== 'up') {
    fail(
      'USAGE',
      { en: `dev ${options.action} does not take --watch`, zh: `dev ${options.action} 不接受 --watch` },
      { hint: same('xingrin dev up --watch') },
    );
  }
  const project = await openSoundProject(session.globals.project);
  const command = `dev ${options.action}`;
  const frontend = options.frontend !== false;
  if (options.action === 'down') return perform(session, project, command, () => proposeDown(session, project));
  if (options.action === 'build')
    return perform(session, project, command, () => proposeBuild(session, project, frontend));
  const report = await perform(session, project, command, async () => {
    await requireCompose();
    if (project.git !== null) await keepOutOfGit(project.git, '.xingrin/');
    const how = { frontend, all: true, deploys: false, development: 'build' } as const;
    return proposeDeployment(session, project, command, await targetHere(project), how);
  });
  return options.watch === true && !session.globals.dryRun ? watch(session, project, report) : report;
}

/** The version in force, else that of the files: development mode moves neither. */
async function targetHere(project: Project): Promise<Target> {
  const text = await readText(project.envFile);
  const tag = text === null ? null : imageTagOf(parseEnvFile(text, project.envFile));
  const version: Version | null = tag === null ? await readVersion(project) : parseImageTag(tag, 'IMAGE_TAG').version;
  if (version !== null) return { version, commit: null, lock: null };
  return fail(
    'PRECONDITION',
    { en: `${project.root} has no VERSION file`, zh: `${project.root} 中没有 VERSION 文件` },
    { hint: same('echo v0.1.0 > VERSION') },
  );
}

async function proposeBuild(session: Session, project: Project, frontend: boolean): Promise<Proposal> {
  await requireCompose();
  const target = await targetHere(project);
  const how = { frontend, all: true, deploys: false, development: 'build' } as const;
  const facts = await observeDeployment(project, target, null, how);
  return {
    plan: planBuild('dev build', facts),
    executors: deploymentExecutors(project, session.now),
    report: async () => ({
      data: { images: [...(facts.builds?.references ?? [])] },
      text: session.terminal.text({ en: 'run them with: xingrin dev up', zh: '运行请执行:xingrin dev up' }),
    }),
  };
}

/** Containers of the production file stay: they are not of this mode, whatever docker/.env says. */
async function proposeDown(session: Session, project: Project): Promise<Proposal> {
  const text = await readText(project.envFile);
  const env = text === null ? null : parseEnvFile(text, project.envFile);
  const tag = env === null ? null : imageTagOf(env);
  const executors = deploymentExecutors(project, session.now);
  const report = (): Promise<Report> => reportStatus(session, project);
  if (tag === null || !saysDevelopment(env)) {
    const plan = makePlan({ command: 'dev down', from: tag, to: tag, commit: null, steps: [] });
    return { plan, executors, report };
  }
  const { projectName, containers } = await developmentContainers(project);
  const { version } = parseImageTag(tag, 'IMAGE_TAG');
  return { plan: planLeave('dev down', { version, projectName, containers }), executors, report };
}

async function developmentContainers(project: Project): Promise<{ projectName: string; containers: string[] }> {
  await requireCompose();
  const { devFile } = project.config.compose;
  if (!(await exists(`${project.composeDirectory}/${devFile}`))) return { projectName: '', containers: [] };
  const { name, services } = await (await openCompose(project)).model();
  const all = await ownContainers(project, name);
  const built = all.some(({ service, image }) => {
    const wanted = services[service];
    return wanted?.build !== undefined && (wanted.image === undefined || wanted.image === image);
  });
  return { projectName: name, containers: built ? all.map((container) => container.name) : [] };
}

/** Stays until Ctrl-C. */
async function watch(session: Session, project: Project, report: Report): Promise<Report> {
  const compose: Compose = await openCompose(project);
  if (!isWatched(await compose.model())) {
    fail(
      'PRECONDITION',
      {
        en: `it runs, but ${compose.project.file} says of no service what to watch`,
        zh: `服务已运行,但 ${compose.project.file} 没有为任何服务指定要监视的内容`,
      },
      { hint: { en: 'add develop: watch: to a service there', zh: '请在其中为服务添加 develop: watch:' } },
    );
  }
  session.terminal.say(
    session.terminal.text({
      en: 'watching; Ctrl-C ends it, the stack stays',
      zh: '正在监视;按 Ctrl-C 结束,服务保持运行',
    }),
  );
  const { code, stderr } = await compose.exec(watchServices(compose.project), {
    signal: session.signal,
    onLine: (line) => {
      if (!session.signal.aborted) session.terminal.say(session.paint.dim(`  ${printable(line)}`));
    },
  });
  if (session.signal.aborted) return { ...report, exitCode: 130 };
  return fail(
    'FAILED',
    { en: `docker compose watch ended with code ${code}`, zh: `docker compose watch 以代码 ${code} 退出` },
    { evidence: stderr.trimEnd().split('\n').slice(-8).join('\n') },
  );
}
