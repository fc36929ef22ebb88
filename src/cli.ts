import { CommanderError, type Command } from 'commander';
import { declareCompletion } from './cli/completion.ts';
import { declareFleet } from './cli/fleet.ts';
import { declareIn, openProgram, refuseSecondValues, type Call } from './cli/program.ts';
import { declareProject } from './cli/project.ts';
import { declareReleasing } from './cli/releasing.ts';
import { declareStack } from './cli/stack.ts';
import { declareTasks } from './cli/task.ts';
import type { Globals } from './commands/session.ts';
import { UserError } from './domain/errors.ts';
import type { Language } from './domain/text.ts';
import { usageError } from './cli/usage.ts';
import { languageWanted } from './language.ts';
import { survivePipes, type TerminalOptions } from './effects/terminal.ts';

/** Reads the command line, runs one command, says how it went. Resolves to the process exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  survivePipes();
  const language = languageWanted(argv);
  let call: Call | undefined;
  const complaints: string[] = [];
  const program = makeProgram(language, complaints, (asked) => (call = asked));
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return reportUsage(error, complaints.join(''), argv, language);
  }
  const { runCommand } = await import('./commands/run-command.ts');
  if (call === undefined) return 0;
  return runCommand(call.name, call.run, globalsOf(program.opts()), terminalOf(program.opts(), language));
}

/** The program with every command; see {@link openProgram} and {@link declareIn}. */
export function makeProgram(language: Language, complaints: string[], onCall: (call: Call) => void): Command {
  const program = openProgram(language, complaints);
  const declare = declareIn(program, language, onCall);
  for (const part of [declareReleasing, declareStack, declareFleet, declareTasks, declareProject, declareCompletion])
    part(declare);
  refuseSecondValues(program);
  return program;
}

function globalsOf(flags: Record<string, unknown>): Globals {
  return {
    project: typeof flags['project'] === 'string' ? flags['project'] : '.',
    json: flags['json'] === true,
    yes: flags['yes'] === true,
    dryRun: flags['dryRun'] === true,
    detailedExitcode: flags['detailedExitcode'] === true,
    transport: flags['transport'] === 'openssh' ? 'openssh' : 'node',
  };
}

function terminalOf(flags: Record<string, unknown>, lang: Language): TerminalOptions {
  const progress = flags['progress'] as TerminalOptions['progress'];
  return {
    lang,
    progress: progress === 'auto' && flags['json'] === true ? 'plain' : progress,
    color: flags['color'] !== false,
    json: flags['json'] === true,
    quiet: flags['quiet'] === true,
    verbose: flags['verbose'] === true,
  };
}

/** `-v1.2.3` is read as flags of one letter each; it was meant as a version, and is none. Null if it is not about that. */
async function mistakenVersion(error: CommanderError, argv: readonly string[]): Promise<UserError | null> {
  const version = argv.find((word) => /^-v\d/.test(word));
  if (error.code !== 'commander.unknownOption' || version === undefined) return null;
  const { parseVersion } = await import('./domain/version.ts');
  try {
    parseVersion(version, { en: 'version', zh: '版本' });
    return null;
  } catch (refusal) {
    if (refusal instanceof UserError) return refusal;
    throw refusal;
  }
}

/** Help and `--version` end well; everything else that commander throws is a mistake on the command line (exit 2). */
async function reportUsage(
  error: CommanderError,
  words: string,
  argv: readonly string[],
  language: Language,
): Promise<number> {
  if (error.exitCode === 0) return 0;
  const askedForHelp = error.code === 'commander.help';
  if (askedForHelp) {
    process.stderr.write(words);
    return 2;
  }
  const { reportFailure } = await import('./commands/run-command.ts');
  const usage = (await mistakenVersion(error, argv)) ?? usageError(error, words);
  const json = (argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv).includes('--json');
  return reportFailure('xingrin', usage, {
    lang: language,
    progress: 'plain',
    color: !argv.includes('--no-color'),
    json,
    quiet: false,
    verbose: false,
  });
}
