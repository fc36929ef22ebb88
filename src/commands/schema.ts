import { DOCUMENTS, documentJsonSchema } from '../domain/documents.ts';
import { fail } from '../domain/errors.ts';
import { nearest } from '../domain/suggest.ts';
import type { Json } from '../plan/plan.ts';
import type { Report, Session } from './session.ts';

/** Prints the JSON Schema of a command's `--json` document; of all commands, by name, where none is named. */
export async function schemaCommand(
  _session: Session,
  { words }: { readonly words: readonly string[] },
): Promise<Report> {
  const command = words.join(' ');
  if (command !== '' && !DOCUMENTS.includes(command)) refuse(command);
  const names = command === '' ? DOCUMENTS : [command];
  const schemas = Object.fromEntries(names.map((name) => [name, documentJsonSchema(name) as { [key: string]: Json }]));
  return { data: { schemas }, text: JSON.stringify(command === '' ? schemas : schemas[command], null, 2) };
}

function refuse(command: string): never {
  const meant = nearest(command, DOCUMENTS);
  return fail(
    'USAGE',
    {
      en: `there is no command ${JSON.stringify(command)} with a document`,
      zh: `没有名为 ${JSON.stringify(command)} 的命令文档`,
    },
    {
      hint:
        meant === null
          ? { en: `one of: ${DOCUMENTS.join(', ')}`, zh: `可选:${DOCUMENTS.join('、')}` }
          : { en: `did you mean ${meant}?`, zh: `是否想输入 ${meant}?` },
    },
  );
}
