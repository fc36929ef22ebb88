import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document } from 'yaml';
import * as z from 'zod';
import { fail } from './errors.ts';
import { quoted } from './quote.ts';
import { dotted, findings, type Finding } from './schema.ts';
import { nearest } from './suggest.ts';
import type { Text } from './text.ts';

const LARGEST = 256 * 1024;

/**
 * Reads a file that people write: YAML without its traps, of a strict schema; null stands for a file that is not there. Throws
 * BAD_CONFIG (exit 2) naming `file`, the line, the key and the rule, for an unknown key with the one that was likely meant.
 */
export function readStrictYaml<T extends z.ZodType>(text: string | null, file: string, schema: T): z.output<T> {
  const counter = new LineCounter();
  const document = text === null ? null : readYaml(text, file, counter);
  const read = schema.safeParse(document?.toJS() ?? {});
  if (!read.success) return refuseFindings(findings(read.error), file, document, counter, inputSchema(schema));
  return read.data;
}

/** The JSON Schema of what may stand in the file. */
export function inputSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input' }) as JsonSchema;
}

/** The part of JSON Schema that we look into. */
export interface JsonSchema {
  readonly [key: string]: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

function readYaml(text: string, file: string, lineCounter: LineCounter): Document {
  const refuse = (at: number, rule: Text): never => refuseLine(file, lineCounter.linePos(at).line, rule);
  if (text.length > LARGEST)
    return refuseLine(file, 1, { en: 'the file is larger than 256 KiB', zh: '文件大于 256 KiB' });
  const document = parsed(text, file, lineCounter);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) refuse(problem.pos[0], YAML_RULES[problem.code] ?? notYaml(problem.message));
  visit(document, {
    Alias: (_key, node) => refuse(node.range?.[0] ?? 0, NO_ALIAS),
    Pair: (_key, pair) => {
      const at = isScalar(pair.key) || isMap(pair.key) || isSeq(pair.key) ? pair.key.range?.[0] : undefined;
      if (isAlias(pair.key)) refuse(pair.key.range?.[0] ?? 0, NO_ALIAS);
      if (!isScalar(pair.key) || typeof pair.key.value !== 'string') refuse(at ?? 0, NO_NAME);
    },
  });
  return document;
}

function parsed(text: string, file: string, lineCounter: LineCounter): Document {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true, strict: true });
  } catch (error) {
    // The parser calls itself for every level.
    if (error instanceof RangeError) return refuseLine(file, 1, { en: 'it is nested too deeply', zh: '嵌套层次过深' });
    throw error;
  }
}

const NO_ALIAS: Text = { en: 'aliases (*name) are not allowed', zh: '不允许使用别名(*name)' };
const NO_NAME: Text = { en: 'a key must be a name', zh: '键必须是名称' };

const YAML_RULES: Readonly<Record<string, Text>> = {
  DUPLICATE_KEY: { en: 'this key stands twice', zh: '该键出现了两次' },
  MULTIPLE_DOCS: {
    en: 'the file must hold one document only (no second ---)',
    zh: '文件只能含一个文档(不能有第二个 ---)',
  },
  TAB_AS_INDENT: { en: 'indent with spaces, not with tabs', zh: '请用空格缩进,不要用制表符' },
  TAG_RESOLVE_FAILED: { en: 'tags (!name) are not allowed', zh: '不允许使用标签(!name)' },
};

function notYaml(message: string): Text {
  return { en: `it is not YAML: ${message}`, zh: `不是有效的 YAML:${message}` };
}

function refuseFindings(
  found: readonly Finding[],
  file: string,
  document: Document | null,
  lines: LineCounter,
  schema: JsonSchema,
): never {
  const placed = found
    .map((finding) => ({ finding, line: lineOf(document, finding, lines) }))
    .toSorted((a, b) => a.line - b.line);
  const first = placed[0];
  if (first === undefined) throw new Error('the schema refused without a reason');
  const { finding, line } = first;
  const where = dotted(finding.path);
  const more = placed.length - 1;
  const rule: Text = {
    en: [where, finding.rule.en, more > 0 ? `(and ${more} more)` : ''].filter((part) => part !== '').join(' '),
    zh: [where, finding.rule.zh, more > 0 ? `(另有 ${more} 处)` : ''].filter((part) => part !== '').join(' '),
  };
  return refuseLine(file, line, rule, hintFor(finding, schema));
}

function hintFor({ path: where, unknown: [wrong] }: Finding, schema: JsonSchema): Text | undefined {
  if (wrong === undefined) return undefined;
  const known = Object.keys(schemaAt(where, schema)?.properties ?? {});
  const meant = nearest(wrong, known);
  if (meant !== null) return { en: `did you mean "${meant}"?`, zh: `您是想写 "${meant}" 吗?` };
  return { en: `known keys: ${known.join(', ')}`, zh: `可用的键:${known.join('、')}` };
}

function schemaAt(where: readonly (string | number)[], schema: JsonSchema): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const part of where) at = typeof part === 'number' ? filled(at)?.items : filled(at)?.properties?.[part];
  return filled(at);
}

/** Of something that may be absent or null: what it is if it is there. */
function filled(schema: JsonSchema | undefined): JsonSchema | undefined {
  return schema?.anyOf?.find((each) => each['type'] !== 'null') ?? schema;
}

/** The line of the deepest part of the path that stands in the file. */
function lineOf(document: Document | null, { path: where, unknown }: Finding, lines: LineCounter): number {
  let node: unknown = document?.contents;
  let at = 0;
  for (const part of [...where, ...unknown.slice(0, 1)]) {
    if (isMap(node)) {
      const pair = node.items.find((each) => isScalar(each.key) && each.key.value === part);
      if (pair === undefined || !isScalar(pair.key)) break;
      at = pair.key.range?.[0] ?? at;
      node = pair.value;
    } else if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      at = isMap(node) || isSeq(node) || isScalar(node) ? (node.range?.[0] ?? at) : at;
    }
  }
  return Math.max(1, lines.linePos(at).line);
}

function refuseLine(file: string, line: number, rule: Text, hint?: Text): never {
  return fail(
    'BAD_CONFIG',
    { en: `${file}, line ${line}: ${rule.en}`, zh: `${file} 第 ${line} 行:${rule.zh}` },
    hint === undefined ? {} : { hint },
  );
}

/** A list in which nothing stands twice. */
export function distinct<T extends z.ZodArray>(
  list: T,
  of: (each: z.output<T>[number]) => unknown = (each) => each,
): T {
  return list.check((context) => {
    const seen = new Set<unknown>();
    context.value.forEach((each, index) => {
      const name = of(each as z.output<T>[number]);
      if (seen.has(name)) {
        const shown = quoted(String(name));
        const rule: Text = { en: `is ${shown}, which stands there already`, zh: `为 ${shown},与前面的重复` };
        context.issues.push({ code: 'custom', path: [index], input: each, params: { rule } });
      }
      seen.add(name);
    });
  });
}
