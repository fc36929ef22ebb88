import type { UserError } from '../domain/errors.ts';
import type { Language } from '../domain/text.ts';
import type { Palette } from './colors.ts';
import { indented, printable } from './layout.ts';

/** What happened, on which host, the evidence, and what to type next. */
export function renderError(error: UserError, language: Language, paint: Palette): string {
  const where = error.details.host === undefined ? '' : `${error.details.host}: `;
  const lines = [`${paint.bad(language === 'zh' ? '错误' : 'error')} ${where}${printable(error.text[language])}`];
  const { evidence, hint } = error.details;
  if (evidence !== undefined && evidence.trim() !== '')
    lines.push(paint.dim(indented(printable(evidence.trimEnd()), 2)));
  if (hint !== undefined)
    lines.push(`${paint.command(language === 'zh' ? '建议' : 'next')}  ${printable(hint[language])}`);
  return lines.join('\n');
}
