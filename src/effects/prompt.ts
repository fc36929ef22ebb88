import type { Language } from '../domain/text.ts';
import { withoutWaiting } from './waiting.ts';

/** Asks a yes-or-no question on the terminal; "no" is the answer to an empty line, to Ctrl-C and to a closed terminal. */
export async function confirm(question: string, language: Language, signal: AbortSignal): Promise<boolean> {
  const { confirm: ask } = await import('@inquirer/prompts');
  try {
    const transformer = (yes: boolean): string => (language === 'zh' ? (yes ? '是' : '否') : yes ? 'Yes' : 'No');
    const asked = { message: question, default: false, transformer };
    return await withoutWaiting(() => ask(asked, { output: process.stderr, signal }));
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

/** Asks for a secret, which does not show; null for Ctrl-C and for a closed terminal. */
export async function askSecret(question: string, signal: AbortSignal): Promise<string | null> {
  const { password: ask } = await import('@inquirer/prompts');
  try {
    return await withoutWaiting(() => ask({ message: question }, { output: process.stderr, signal }));
  } catch (error) {
    if (isRefusal(error)) return null;
    throw error;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name);
}
