import { fail } from '../domain/errors.ts';
import { parseDestination, type Endpoint, type Worker } from '../domain/inventory.ts';
import { quoted } from '../domain/quote.ts';
import { firstIdentity, sshSettings } from '../effects/ssh-config-files.ts';

/** Where a host is, and the way to it. */
export type Place = Endpoint & Pick<Worker, 'jumps'>;

/** Servers on the way to the servers on the way: more is a circle. */
const DEEPEST = 8;

/**
 * What was typed, completed by what ~/.ssh/config says of that name: HostName, User, Port, IdentityFile, ProxyJump. What was typed
 * counts more. The outcome stands in the inventory, so that whoever runs xingrin next, and without that file, gets to the same host.
 *
 * @param destination `[user@]host[:port]`
 * @param identity path of a private key, or null
 * @param jump `[user@]host[:port]`, several with commas; undefined where nothing was typed
 * @throws BAD_INPUT (exit 2) naming what is no host, no port, or a way that only the ssh program can go
 */
export function placeOf(destination: string, identity: string | null, jump: string | undefined): Place {
  const { endpoint, way, command } = look(destination, identity);
  if (jump === undefined && command) return onlyBySsh(destination);
  return { ...endpoint, jumps: endpointsOf(jump ?? way, 0) };
}

function endpointsOf(way: string | null, depth: number): Endpoint[] {
  if (way === null || way === 'none') return [];
  if (depth > DEEPEST) {
    return fail('BAD_INPUT', {
      en: `ProxyJump in ~/.ssh/config goes in a circle: ${quoted(way)}`,
      zh: `~/.ssh/config 中的 ProxyJump 形成了循环:${quoted(way)}`,
    });
  }
  return way.split(',').flatMap((each, index) => {
    const { endpoint, way: before, command } = look(each.trim(), null);
    if (index === 0 && command) return onlyBySsh(each.trim());
    // As with ssh: only the first of them may have a way of its own.
    return [...(index === 0 ? endpointsOf(before, depth + 1) : []), endpoint];
  });
}

function look(text: string, identity: string | null): { endpoint: Endpoint; way: string | null; command: boolean } {
  const typed = parseDestination(text);
  const settings = sshSettings(typed.host);
  const host = settings.hostName ?? typed.host;
  const user = typed.user ?? settings.user ?? 'root';
  // The same rules as for what is typed.
  const bare = host.includes(':') ? `[${host}]` : host;
  const { port } = parseDestination(`${user}@${bare}:${typed.port ?? settings.port ?? 22}`);
  const endpoint = {
    host,
    port: port ?? 22,
    user,
    identity: identity ?? firstIdentity(settings, host, user),
    hostKey: null,
  };
  return { endpoint, way: settings.proxyJump, command: settings.proxyCommand };
}

function onlyBySsh(name: string): never {
  return fail(
    'BAD_INPUT',
    {
      en: `~/.ssh/config reaches ${name} by a ProxyCommand, which says nothing of the servers on the way`,
      zh: `~/.ssh/config 通过 ProxyCommand 连接 ${name},无法得知途经的服务器`,
    },
    {
      hint: {
        en: 'name the way there: --jump [user@]host[:port]; --jump none goes straight',
        zh: '请用 --jump [用户@]主机[:端口] 指定跳板机;--jump none 表示直连',
      },
    },
  );
}
