import * as z from 'zod';
import { quoted } from './quote.ts';
import { same, type Text } from './text.ts';

/** A string with a rule: told to people in their language, and to editors through the JSON Schema. */
export function ruled(rule: Text, pattern: RegExp, also: (text: string) => boolean = () => true): z.ZodString {
  return z
    .string()
    .refine((text) => pattern.test(text) && also(text), { params: { rule } })
    .meta({ pattern: pattern.source, description: rule.en });
}

/** What is wrong at one place of a document. */
export interface Finding {
  /** Keys and indexes from the top; of an unknown key, where it stands. */
  readonly path: readonly (string | number)[];
  readonly rule: Text;
  /** Keys that the schema does not know; empty for every other fault. */
  readonly unknown: readonly string[];
}

/** The faults that zod found, in words. Values are shown only where they name something that was to be chosen from a list. */
export function findings(error: z.ZodError): Finding[] {
  return error.issues.map((issue) => ({
    path: issue.path.filter((part) => typeof part !== 'symbol'),
    rule: ruleOf(issue),
    unknown: issue.code === 'unrecognized_keys' ? issue.keys : [],
  }));
}

/** `images[0].name`, as people write it. */
export function dotted(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${part}]`;
      const name = /^[\w-]+$/.test(part) ? part : quoted(part);
      return index === 0 ? name : `.${name}`;
    })
    .join('');
}

const KINDS: Readonly<Record<string, Text>> = {
  string: { en: 'text', zh: '文本' },
  int: { en: 'a whole number', zh: '整数' },
  number: { en: 'a number', zh: '数字' },
  boolean: { en: 'true or false', zh: 'true 或 false' },
  array: { en: 'a list', zh: '列表' },
  object: { en: 'a group of keys', zh: '键值组' },
  record: { en: 'a group of keys', zh: '键值组' },
};

function ruleOf(issue: z.core.$ZodIssue): Text {
  switch (issue.code) {
    case 'custom': {
      const rule: unknown = issue.params?.['rule'];
      return isText(rule) ? rule : same(issue.message);
    }
    case 'invalid_key':
    case 'invalid_element':
      return issue.issues[0] === undefined ? same(issue.message) : ruleOf(issue.issues[0]);
    case 'invalid_type': {
      if (issue.input === undefined && issue.message.includes('undefined')) return { en: 'is missing', zh: '缺失' };
      const kind = KINDS[issue.expected] ?? same(issue.expected);
      return { en: `must be ${kind.en}`, zh: `必须是${kind.zh}` };
    }
    case 'invalid_value': {
      const values = issue.values.map(String).join(', ');
      return { en: `must be ${values}`, zh: `必须是 ${values}` };
    }
    case 'too_small':
      return { en: `must be at least ${issue.minimum}`, zh: `不能小于 ${issue.minimum}` };
    case 'too_big':
      return { en: `must be at most ${issue.maximum}`, zh: `不能大于 ${issue.maximum}` };
    case 'unrecognized_keys': {
      const keys = issue.keys.map(quoted).join(', ');
      return { en: `unknown key ${keys}`, zh: `未知的键 ${keys}` };
    }
    default:
      return same(issue.message);
  }
}

function isText(value: unknown): value is Text {
  return typeof value === 'object' && value !== null && 'en' in value && 'zh' in value;
}
