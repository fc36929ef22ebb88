import type { Bump } from './version.ts';

/** What can be typed after a command: the commander tree as plain data. */
export interface CommandNode {
  readonly name: string;
  readonly about: string;
  readonly options: readonly OptionNode[];
  readonly args: readonly ArgumentNode[];
  readonly children: readonly CommandNode[];
}

export interface OptionNode {
  /** `-C` and `--project`. */
  readonly flags: readonly string[];
  readonly about: string;
  /** What the value is called in the help (`file`); null for a flag without one. */
  readonly value: string | null;
  readonly choices: readonly string[];
}

export interface ArgumentNode {
  readonly name: string;
  readonly many: boolean;
  readonly choices: readonly string[];
}

/** One word that may stand here, and what it is. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** What may stand at the place of the last word. */
export interface Place {
  readonly candidates: readonly Candidate[];
  /** What only the project knows, to be added to the candidates. */
  readonly more: 'workers' | 'versions' | 'deployments' | null;
  /** Put before every candidate: `--worker=`. */
  readonly prefix: string;
  /** What has been typed of the word. */
  readonly typed: string;
  /** The folder that an earlier -C names. */
  readonly project: string;
}

/**
 * Reads an unfinished command line. Its last word is the one to be completed, and may be empty.
 *
 * @param typed the words after `xingrin`
 */
export function placeOf(root: CommandNode, typed: readonly string[]): Place {
  const words = joined(typed);
  const last = words.at(-1) ?? '';
  let node = root;
  const path: CommandNode[] = [root];
  let project = '.';
  let position = 0;
  let awaiting: OptionNode | null = null;
  for (const word of words.slice(0, -1)) {
    if (awaiting !== null) {
      if (awaiting.flags.includes('--project')) project = word;
      awaiting = null;
    } else if (word === '--') return nothing(project);
    else if (word.startsWith('-')) {
      const [flag = '', value] = word.split(/=(.*)/s);
      const option = optionOf(path, flag);
      if (option?.flags.includes('--project') === true && value !== undefined) project = value;
      awaiting = option !== undefined && option.value !== null && value === undefined ? option : null;
    } else {
      const child: CommandNode | undefined = node.children.find(({ name }) => name === word);
      if (child === undefined) position += 1;
      else {
        node = child;
        path.push(child);
        position = 0;
      }
    }
  }
  const place = { ...nothing(project), typed: last };
  if (awaiting !== null) return { ...place, ...valuesOf(awaiting) };
  const assigned = /^(--[^=]+=)/.exec(last)?.[1];
  if (assigned !== undefined) {
    const option = optionOf(path, assigned.slice(0, -1));
    return option === undefined ? place : { ...place, ...valuesOf(option), prefix: assigned };
  }
  if (last.startsWith('-')) return { ...place, candidates: flagsOf(path) };
  if (node.children.length > 0)
    return { ...place, candidates: node.children.map(({ name, about }) => ({ word: name, about })) };
  return { ...place, ...argumentsOf(path, position) };
}

/** The candidates that continue what was typed. */
export function matching(place: Place, more: readonly string[]): Candidate[] {
  const all = [...place.candidates, ...more.map((word) => ({ word, about: '' }))];
  return all
    .map(({ word, about }) => ({ word: `${place.prefix}${word}`, about }))
    .filter(({ word }) => word.startsWith(place.typed));
}

const BUMPS = ['major', 'minor', 'patch', 'dev'] satisfies readonly Bump[];

/** Bash takes `--worker=eu` apart at the sign. */
function joined(words: readonly string[]): string[] {
  const whole: string[] = [];
  for (const [index, word] of words.entries()) {
    const before = whole.at(-1) ?? '';
    const continues = word === '=' || (words[index - 1] === '=' && before.endsWith('='));
    if (continues && before.startsWith('--')) whole[whole.length - 1] = before + word;
    else whole.push(word);
  }
  return whole;
}

function nothing(project: string): Place {
  return { candidates: [], more: null, prefix: '', typed: '', project };
}

function optionOf(path: readonly CommandNode[], flag: string): OptionNode | undefined {
  return path.flatMap(({ options }) => options).find(({ flags }) => flags.includes(flag));
}

function flagsOf(path: readonly CommandNode[]): Candidate[] {
  return path
    .toReversed()
    .flatMap(({ options }) =>
      options.flatMap(({ flags, about }) =>
        flags.filter((flag) => flag.startsWith('--')).map((word) => ({ word, about })),
      ),
    );
}

function valuesOf({ flags, choices }: OptionNode): Pick<Place, 'candidates' | 'more'> {
  const more = flags.includes('--worker') || flags.includes('--hosts') ? 'workers' : null;
  return {
    candidates: choices.map((word) => ({ word, about: '' })),
    more: flags.includes('--version') ? 'versions' : more,
  };
}

function argumentsOf(path: readonly CommandNode[], position: number): Pick<Place, 'candidates' | 'more'> {
  const node = path.at(-1);
  const argument = node?.args[position] ?? (node?.args.at(-1)?.many === true ? node.args.at(-1) : undefined);
  const candidates = (argument?.choices ?? []).map((word) => ({ word, about: '' }));
  const isWorker = path.some(({ name }) => name === 'worker') && ['name', 'names'].includes(argument?.name ?? '');
  if (isWorker) return { candidates, more: 'workers' };
  if (argument?.name !== 'version') return { candidates, more: null };
  // A release is a new version: what is known already is none.
  if (node?.name === 'release') return { candidates: BUMPS.map((word) => ({ word, about: '' })), more: null };
  return { candidates, more: node?.name === 'rollback' ? 'deployments' : 'versions' };
}
