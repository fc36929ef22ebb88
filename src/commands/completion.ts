import { completionScript, SHELLS } from '../argv/completion-scripts.ts';
import { matching, placeOf, type CommandNode, type Place } from '../domain/completion.ts';
import { fail, UserError } from '../domain/errors.ts';
import { nearest } from '../domain/suggest.ts';
import { compareVersions, isVersion } from '../domain/version.ts';
import { readHistory } from '../observe/history.ts';
import { localWorkerName, readInventory } from '../observe/inventory.ts';
import { openProject } from '../observe/project.ts';
import type { Report, Session } from './session.ts';

export interface CompletionOptions {
  /** The shell; with `words`, what has been typed after `xingrin` so far. */
  readonly args: readonly string[];
  readonly words?: boolean;
  readonly tree: CommandNode;
}

/** Prints what a shell has to read to complete our words; with --words, it answers that shell. */
export async function completionCommand(session: Session, { args, words, tree }: CompletionOptions): Promise<Report> {
  if (words === true) return candidates(tree, args);
  const [wanted = '', ...rest] = args;
  const shell = SHELLS.find((each) => each === wanted);
  if (shell !== undefined && rest.length === 0) {
    const script = completionScript(shell);
    return { data: { shell, script }, text: script };
  }
  const meant = nearest(wanted, SHELLS);
  return fail(
    'USAGE',
    { en: `completion is for one of ${SHELLS.join(', ')}`, zh: `completion 支持的 shell:${SHELLS.join('、')}` },
    {
      hint: {
        en: `source <(xingrin completion ${meant ?? 'bash'})`,
        zh: `source <(xingrin completion ${meant ?? 'bash'})`,
      },
    },
  );
}

/** One line a candidate, what it is behind a tab. Whatever goes wrong, a shell in the middle of a line wants silence. */
async function candidates(tree: CommandNode, typed: readonly string[]): Promise<Report> {
  const place = placeOf(tree, typed);
  const found = matching(place, await fromProject(place));
  const lines = found.map(({ word, about }) => (about === '' ? word : `${word}\t${about}`));
  const data = { candidates: found.map(({ word }) => word) };
  return lines.length === 0 ? { data } : { data, text: lines.join('\n') };
}

async function fromProject({ more, project: folder }: Place): Promise<string[]> {
  if (more === null) return [];
  try {
    const project = await openProject(folder);
    if (more === 'workers') {
      const { workers } = await readInventory(project);
      return [await localWorkerName(project), ...workers.map(({ name }) => name)];
    }
    const known =
      more === 'deployments'
        ? (await readHistory(project)).map(({ version }) => version)
        : ((await project.git?.tags()) ?? []).filter(isVersion);
    return [...new Set(known)].sort(compareVersions).reverse();
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}
