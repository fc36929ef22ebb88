import { stringify } from 'yaml';
import { configJsonSchema } from '../domain/config.ts';
import { fail } from '../domain/errors.ts';
import { openProject } from '../observe/project.ts';
import type { Json } from '../plan/plan.ts';
import type { Report, Session } from './session.ts';

/** Shows the configuration in force, defaults included, or the JSON Schema of xingrin.yaml. */
export async function configCommand(session: Session, { what }: { what: string }): Promise<Report> {
  if (what === 'schema') {
    const schema = configJsonSchema() as { readonly [key: string]: Json };
    return { data: { schema }, text: JSON.stringify(schema, null, 2) };
  }
  if (what !== 'show') {
    fail('USAGE', {
      en: `config takes show or schema, not ${JSON.stringify(what)}`,
      zh: `config 的参数为 show 或 schema,而不是 ${JSON.stringify(what)}`,
    });
  }
  const { config } = await openProject(session.globals.project);
  const plain = JSON.parse(JSON.stringify(config)) as { readonly [key: string]: Json };
  return { data: { config: plain }, text: stringify(plain).trimEnd() };
}
