import { isMap, isSeq, parseDocument, type Document } from 'yaml';
import * as z from 'zod';
import { fail } from './errors.ts';
import { fitsGlobs } from './glob.ts';
import { quoted } from './quote.ts';
import { ruled } from './schema.ts';
import { distinct, readStrictYaml } from './strict-yaml.ts';
import { same, type Text } from './text.ts';

/** An SSH server, and how we log in there. */
export interface Endpoint {
  /** A host name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absolute path of the private key; null for the agent's keys and the usual files in ~/.ssh. */
  readonly identity: string | null;
  /** Its public host key, `ssh-ed25519 AAAA…`; null until somebody has vouched for it. */
  readonly hostKey: string | null;
}

/** A declared worker. */
export interface Worker extends Endpoint {
  readonly id: number;
  /** Unique, in any script. */
  readonly name: string;
  /** Servers on the way, the nearest first; empty for a host that is reached directly. */
  readonly jumps: readonly Endpoint[];
}

export interface Inventory {
  readonly workers: readonly Worker[];
  /** The highest id ever given: those of removed workers are not given again. */
  readonly lastId: number;
}

const NAME_RULE: Text = {
  en: 'a name has 1 to 64 letters, digits or emoji of any language, with . _ or - between them',
  zh: '名称由 1 到 64 个任意语言的字母、数字或表情符号组成,中间可用 . _ 或 -',
};
const HOST_RULE: Text = {
  en: 'a host is a name like worker-1.example.com or an IPv4 or IPv6 address',
  zh: '主机须为形如 worker-1.example.com 的域名,或 IPv4/IPv6 地址',
};
const USER_RULE: Text = {
  en: 'a user has letters, digits, . _ or -, begins with a letter or _, and has 64 characters at most',
  zh: '用户名由字母、数字、. _ - 组成,以字母或 _ 开头,最长 64 个字符',
};
const KEY_RULE: Text = {
  en: 'must be a host key like "ssh-ed25519 AAAA…", as `ssh-keyscan HOST` prints it',
  zh: '必须是形如 "ssh-ed25519 AAAA…" 的主机公钥(可用 ssh-keyscan 查看)',
};
const PATH_RULE: Text = {
  en: 'must be the absolute path of a private key',
  zh: '必须是私钥文件的绝对路径',
};

/** Letters with their marks, digits, and emoji with what joins and colours them. */
const SIGN = String.raw`(?:[\p{L}\p{M}\p{N}]|[\p{Extended_Pictographic}\p{Regional_Indicator}](?:[\u{FE0F}\u{20E3}\p{Emoji_Modifier}]|\u{200D}\p{Extended_Pictographic})*)`;
const NAME = new RegExp(`^${SIGN}+(?:[._-]+${SIGN}+)*$`, 'u');
const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`);
const IPV6 = /^(?=.*:.*:)[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,15})?$/;
const USER = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/;
const HOST_KEY = /^[a-z0-9][a-z0-9@.-]{0,63} [A-Za-z0-9+/]{40,3000}={0,2}$/;

const USUAL_PORT = 22;

const endpoint = {
  host: ruled(HOST_RULE, /^[A-Za-z0-9_:.%-]+$/, isHost),
  port: z.int().min(1).max(65_535).default(USUAL_PORT),
  user: ruled(USER_RULE, USER).default('root'),
  identity: ruled(PATH_RULE, /^\//, isPath).optional(),
  hostKey: ruled(KEY_RULE, HOST_KEY).optional(),
};
const worker = z.strictObject({
  id: z.int().min(1).max(1e9),
  // What counts is the form that is stored; written by hand it may be another of the same name.
  name: ruled(NAME_RULE, /^[^\s"'`$\\/]+$/, (text) => isName(text.normalize('NFC'))),
  ...endpoint,
  jump: z.array(z.strictObject(endpoint)).max(8).optional(),
});
const schema = z.strictObject({
  lastId: z.int().min(0).max(1e9).optional(),
  workers: distinct(distinct(z.array(worker), idOf), nameOf)
    .nullable()
    .optional(),
});

const HEADER = ` The workers of this project. May be edited by hand: xingrin checks it and keeps comments.
 Host keys are pinned here; a host that shows another one is refused.`;

/** Reads the inventory; null for a file that is not there. Throws BAD_CONFIG (exit 2) naming `file`, line, key and rule. */
export function parseInventory(text: string | null, file: string): Inventory {
  const { workers, lastId } = readStrictYaml(text, file, schema);
  const declared = (workers ?? []).map(({ jump, name, identity, hostKey, ...rest }): Worker => ({
    ...rest,
    name: name.normalize('NFC'),
    identity: identity ?? null,
    hostKey: hostKey ?? null,
    jumps: (jump ?? []).map((each) => ({
      ...each,
      identity: each.identity ?? null,
      hostKey: each.hostKey ?? null,
    })),
  }));
  return { workers: declared, lastId: Math.max(lastId ?? 0, ...declared.map(({ id }) => id)) };
}

/** The inventory's text with this worker in it, in the place of the one with its id if there is one. Comments stay. */
export function withWorker(text: string | null, entry: Worker): string {
  const document = open(text);
  const list = workersOf(document);
  const node = document.createNode(written(entry));
  const at = list.items.findIndex((item) => isMap(item) && item.get('id') === entry.id);
  if (at < 0) list.items.push(node);
  else list.items[at] = node;
  const highest = Math.max(entry.id, Number(document.get('lastId') ?? 0));
  document.set('lastId', highest);
  return document.toString({ lineWidth: 0 });
}

/** The inventory's text, in which ids up to this one count as given. */
export function withLastId(text: string, id: number): string {
  const document = open(text);
  const highest = Math.max(id, highestIdIn(text));
  if (document.get('lastId') === highest) return text;
  document.set('lastId', highest);
  return document.toString({ lineWidth: 0 });
}

/** The highest id that stands anywhere in an inventory, be it damaged. */
export function highestIdIn(text: string): number {
  const ids = [...text.matchAll(/^[\s-]*(?:id|lastId): *(\d{1,9}) *$/gm)].map((match) => Number(match[1]));
  return Math.max(0, ...ids);
}

/** The inventory's text without the worker of this id. */
export function withoutWorker(text: string | null, id: number): string {
  const document = open(text);
  const list = workersOf(document);
  list.items = list.items.filter((item) => !(isMap(item) && item.get('id') === id));
  document.set('lastId', Math.max(id, Number(document.get('lastId') ?? 0)));
  return document.toString({ lineWidth: 0 });
}

/**
 * The workers whose name or host fits one of these patterns (`*`, `?`, several with commas, `!` for all but those); every worker if
 * absent. Throws USAGE (exit 2) if there is none.
 */
export function selectWorkers(inventory: Inventory, patterns: string | undefined): readonly Worker[] {
  const { workers } = inventory;
  const globs = (patterns ?? '*').split(',').map((glob) => glob.trim().normalize('NFC'));
  // Only exclusions: all but those.
  const wanted = globs.every((glob) => glob.startsWith('!')) ? ['*', ...globs] : globs;
  const refused = wanted.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1));
  const chosen = workers.filter(({ name, host }) => {
    if (refused.length > 0 && [name, host].some((each) => fitsGlobs(refused, each))) return false;
    return [name, host].some((each) => fitsGlobs(wanted, each));
  });
  if (chosen.length > 0) return chosen;
  return fail(
    'USAGE',
    patterns === undefined || workers.length === 0
      ? { en: 'there are no workers', zh: '还没有任何 worker' }
      : { en: `no worker fits ${quoted(patterns)}`, zh: `没有与 ${quoted(patterns)} 匹配的 worker` },
    {
      hint:
        workers.length === 0
          ? same('xingrin worker add root@HOST')
          : { en: `workers: ${namesOf(workers)}`, zh: `现有 worker:${namesOf(workers)}` },
    },
  );
}

/** One worker by its name, its id or its host. Throws USAGE (exit 2) if there is none, or if several have that host. */
export function findWorker(inventory: Inventory, wanted: string): Worker {
  const name = wanted.normalize('NFC');
  const { workers } = inventory;
  const found =
    workers.find((each) => each.name === name) ??
    workers.find((each) => String(each.id) === name) ??
    byHost(workers, name);
  if (found !== undefined) return found;
  return fail(
    'USAGE',
    { en: `there is no worker ${quoted(wanted)}`, zh: `没有名为 ${quoted(wanted)} 的 worker` },
    {
      hint:
        workers.length === 0
          ? same('xingrin worker add root@HOST')
          : { en: `workers: ${namesOf(workers)}`, zh: `现有 worker:${namesOf(workers)}` },
    },
  );
}

/** Reads the name of a worker. Throws BAD_INPUT (exit 2) naming the rule. */
export function parseWorkerName(text: string): string {
  const name = text.normalize('NFC');
  if (isName(name)) return name;
  return refuse(text, { en: 'is not a name for a worker', zh: '不能作为 worker 名称' }, NAME_RULE);
}

/** Where to go, as somebody typed it: parts that are not there are null. */
export interface Destination {
  readonly user: string | null;
  readonly host: string;
  readonly port: number | null;
}

/** Reads `[user@]host[:port]`; an IPv6 address with a port needs brackets. Throws BAD_INPUT (exit 2) naming the rule. */
export function parseDestination(text: string): Destination {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? null : text.slice(0, at);
  if (user !== null && !USER.test(user))
    return refuse(text, { en: 'has no user that we could log in as', zh: '中的用户名无效' }, USER_RULE);
  const rest = text.slice(at + 1);
  // More than one colon outside of brackets: an IPv6 address and no port.
  const [, inBrackets, plain, portText] = IPV6.test(rest)
    ? [rest, rest]
    : (/^(?:\[([^\]]*)\]|([^[\]:]*))(?::(.*))?$/.exec(rest) ?? []);
  const host = inBrackets ?? plain ?? rest;
  if (!isHost(host)) return refuse(text, { en: 'names no host', zh: '中的主机无效' }, HOST_RULE);
  const port = portText === undefined ? null : Number(portText);
  if (port !== null && !(/^\d{1,5}$/.test(portText ?? '') && port >= 1 && port <= 65_535)) {
    const rule: Text = { en: 'a port is a number from 1 to 65535', zh: '端口须为 1 到 65535 的整数' };
    return refuse(text, { en: 'has no port that exists', zh: '中的端口无效' }, rule);
  }
  return { user, host, port };
}

/** `user@host`, with the port where it is not the usual one: for people. */
export function addressOf({ user, host, port }: Pick<Endpoint, 'user' | 'host' | 'port'>): string {
  const bare = host.includes(':') ? `[${host}]` : host;
  return port === USUAL_PORT ? `${user}@${host}` : `${user}@${bare}:${port}`;
}

/** The worker with this name, whatever its capitals. */
export function workerNamed(inventory: Inventory, name: string): Worker | undefined {
  return inventory.workers.find((each) => nameOf(each) === nameOf({ name }));
}

/**
 * A free name for a host: its own, or with a number.
 *
 * @param reserved names that no worker of the inventory may have
 */
export function nameFor(host: string, inventory: Inventory, reserved: readonly string[]): string {
  const own = isName(host) ? host : host.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '');
  const taken = new Set([...inventory.workers, ...reserved.map((name) => ({ name }))].map(nameOf));
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? own : `${own}-${number}`;
    if (!taken.has(name.toLowerCase())) return name;
  }
}

type Place = Pick<Endpoint, 'host' | 'port'> & { readonly jumps: readonly Pick<Endpoint, 'host' | 'port'>[] };

/** The worker that is this very server, by whichever user. The same address behind another way is another server. */
export function workerAt(inventory: Inventory, place: Place): Worker | undefined {
  return inventory.workers.find((each) => wayTo(each) === wayTo(place));
}

/** The id of the next worker: never one that was given before, and never the main server's own. */
export function nextId(inventory: Inventory): number {
  return Math.max(inventory.lastId, MAIN_ID) + 1;
}

/** The main server as a worker. */
export const MAIN_ID = 1;

function wayTo(place: Place): string {
  return [...place.jumps, place].map(({ host, port }) => `${host.toLowerCase()} ${port}`).join('\n');
}

function byHost(workers: readonly Worker[], host: string): Worker | undefined {
  const [found, ...others] = workers.filter((each) => each.host === host);
  return others.length === 0 ? found : undefined;
}

function idOf(each: { readonly id: number }): unknown {
  return each.id;
}

/** Names that differ only in capitals would be mistaken for each other. */
function nameOf(each: { readonly name: string }): string {
  return each.name.normalize('NFC').toLowerCase();
}

function isName(text: string): boolean {
  return [...text].length <= 64 && NAME.test(text);
}

function isHost(text: string): boolean {
  return text.length <= 253 && (HOST_NAME.test(text) || IPV6.test(text));
}

function isPath(text: string): boolean {
  return text.length <= 4096 && !/\p{Cc}/u.test(text);
}

function namesOf(workers: readonly Worker[]): string {
  const shown = workers.slice(0, 10).map(({ name }) => name);
  return workers.length > shown.length ? `${shown.join(', ')}, …` : shown.join(', ');
}

function refuse(text: string, what: Text, rule: Text): never {
  return fail('BAD_INPUT', {
    en: `${quoted(text)} ${what.en}: ${rule.en}`,
    zh: `${quoted(text)} ${what.zh}:${rule.zh}`,
  });
}

function open(text: string | null): Document {
  const document: Document = parseDocument(text ?? '');
  if (!isMap(document.contents)) {
    document.contents = document.createNode({ lastId: 0, workers: [] });
    document.commentBefore = document.commentBefore ?? HEADER;
  }
  return document;
}

function workersOf(document: Document): { items: unknown[] } {
  const list = document.get('workers');
  if (isSeq(list)) {
    // An empty list is written as []; its first entry belongs on a line of its own.
    list.flow = false;
    return list;
  }
  const fresh = document.createNode([]);
  document.set('workers', fresh);
  return fresh;
}

/** As it stands in the file: what is usual is left out, but for the port and the user, which people look for. */
function written({ id, name, jumps, ...rest }: Worker): Record<string, unknown> {
  const jump = jumps.map(writtenEndpoint);
  return { id, name, ...writtenEndpoint(rest), ...(jump.length === 0 ? {} : { jump }) };
}

function writtenEndpoint({ host, port, user, identity, hostKey }: Endpoint): Record<string, unknown> {
  return {
    host,
    port,
    user,
    ...(identity === null ? {} : { identity }),
    ...(hostKey === null ? {} : { hostKey }),
  };
}
