import type { Language } from './domain/text.ts';

/** The language of `--lang`, else of the locale. It must be known before the help texts are made, so it is read by hand. */
export function languageWanted(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Language {
  for (const [index, word] of argv.entries()) {
    if (word === '--') break;
    if (word === '--lang=zh' || (word === '--lang' && argv[index + 1] === 'zh')) return 'zh';
    if (word === '--lang=en' || (word === '--lang' && argv[index + 1] === 'en')) return 'en';
  }
  const { LC_ALL, LC_MESSAGES, LANG } = env;
  return /^zh/i.test(LC_ALL || LC_MESSAGES || LANG || '') ? 'zh' : 'en';
}
