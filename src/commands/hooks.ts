import { join } from 'node:path';
import type { HookName } from '../domain/config.ts';
import { fail, interruption } from '../domain/errors.ts';
import { run } from '../effects/process.ts';
import type { Project } from '../observe/project.ts';
import type { Plan } from '../plan/plan.ts';
import { printable } from '../ui/layout.ts';
import type { Session } from './session.ts';

/**
 * Runs the project's executable for a moment of a plan, if it has one; what it writes is shown. It gets the plan in its
 * environment: XINGRIN_HOOK, XINGRIN_COMMAND, XINGRIN_FROM, XINGRIN_TO, XINGRIN_COMMIT, XINGRIN_PROJECT.
 *
 * Before the plan, a hook that fails stops everything (PRECONDITION, exit 6: nothing was changed). After it, the new state is
 * true whatever the hook thinks of it: that is a warning.
 */
export async function runHook(session: Session, project: Project, moment: 'pre' | 'post', plan: Plan): Promise<void> {
  const name = `${moment}-${plan.command}`;
  const path = project.config.hooks[name as HookName];
  if (path === undefined) return;
  const { code, stdout, stderr } = await run([join(project.root, path)], {
    cwd: project.root,
    signal: session.signal,
    env: {
      ...process.env,
      XINGRIN_HOOK: name,
      XINGRIN_COMMAND: plan.command,
      XINGRIN_FROM: plan.from ?? '',
      XINGRIN_TO: plan.to ?? '',
      XINGRIN_COMMIT: plan.commit ?? '',
      XINGRIN_PROJECT: project.root,
    },
    onLine: (line) => session.terminal.say(session.paint.dim(`  ${printable(line)}`)),
  });
  if (moment === 'pre' && session.signal.aborted) throw interruption(session.signal);
  if (code === 0) return;
  const text = {
    en: `the hook ${name} (${path}) ended with code ${code}`,
    zh: `钩子 ${name}(${path})以代码 ${code} 退出`,
  };
  if (moment === 'post') return session.warn(text);
  fail('PRECONDITION', text, {
    evidence: `${stdout}${stderr}`.trimEnd().split('\n').slice(-10).join('\n'),
    hint: { en: `nothing was changed; see ${path}`, zh: `未做任何更改;请检查 ${path}` },
  });
}
