/** Asks a yes-or-no question on the terminal; "no" is the answer to an empty line, to Ctrl-C and to a closed terminal. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const { confirm: ask } = await import('@inquirer/prompts');
  try {
    return await ask({ message: question, default: false }, { output: process.stderr, signal });
  } catch (error) {
    if (error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name)) return false;
    throw error;
  }
}
