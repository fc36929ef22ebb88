import { run } from '../effects/process.ts';
import { must, openNamespace, type Namespace } from './namespace.ts';
import { claimAddress, destroyPart, disownPart, registerPart, type Part } from './records.ts';

/**
 * A network of its own for engines and a registry: a bridge in a namespace, so that no firewall rule of the machine touches
 * what its members say to each other. It leads nowhere else: there is no way from it to the internet.
 */
export interface Network {
  readonly id: string;
  /** `10.x.y.0/24` */
  readonly subnet: string;
  /** `10.x.y.1`: where members reach the machine itself. */
  readonly hostAddress: string;
  /** `10.x.y.254`: the bridge's own address; a registry listens here. */
  readonly address: string;
  readonly part: Part;
  readonly namespace: Namespace;
  /** Gives the namespace of an engine the next free address; `link` is the bridge's end of its cable. */
  plug(namespace: Namespace, part: Part): Promise<{ address: string; link: string }>;
  /** Pulls a cable out (false) or puts it back (true). */
  setLink(link: string, up: boolean): Promise<void>;
  /** Lets the network outlive this process. */
  keep(): Promise<void>;
  /** Ends the network and every registry in it. Engines end on their own. */
  stop(): Promise<void>;
}

const BRIDGE = 'bridge';

export async function startNetwork(): Promise<Network> {
  const part = await registerPart('network');
  try {
    return await build(part);
  } catch (error) {
    await destroyPart(part);
    throw error;
  }
}

async function build(part: Part): Promise<Network> {
  const prefix = await claimSubnet(part);
  const namespace = await openNamespace(part);
  await namespace.links([
    // A fixed hardware address: otherwise the bridge takes a new one with each member, and the others lose it for seconds.
    `link add ${BRIDGE} address 02:00:0a:00:00:fe type bridge`,
    `addr add ${prefix}.254/24 dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
    'link set lo up',
  ]);
  // The machine's own end carries the part's id as its name; the kernel removes it together with the other end.
  await must(['ip', 'link', 'add', part.id, 'type', 'veth', 'peer', 'name', 'machine', 'netns', String(namespace.pid)]);
  await must(['ip', 'addr', 'add', `${prefix}.1/24`, 'dev', part.id]);
  await must(['ip', 'link', 'set', part.id, 'up']);
  await namespace.links([`link set machine master ${BRIDGE}`, 'link set machine up']);

  return {
    id: part.id,
    subnet: `${prefix}.0/24`,
    hostAddress: `${prefix}.1`,
    address: `${prefix}.254`,
    part,
    namespace,
    plug: (other, owner) => plug(prefix, namespace, other, owner),
    setLink: (link, up) => namespace.links([`link set ${link} ${up ? 'up' : 'down'}`]),
    keep: () => disownPart(part),
    stop: () => destroyPart(part),
  };
}

async function plug(
  prefix: string,
  bridge: Namespace,
  member: Namespace,
  part: Part,
): Promise<{ address: string; link: string }> {
  for (let number = 2; number < 254; number += 1) {
    const address = `${prefix}.${number}`;
    if (!(await claimAddress(address, part))) continue;
    const link = `m${number}`;
    await bridge.links([
      `link add ${link} type veth peer name eth0 netns ${member.pid}`,
      `link set ${link} master ${BRIDGE}`,
      `link set ${link} up`,
    ]);
    await member.links([`addr add ${address}/24 dev eth0`, 'link set eth0 up', 'link set lo up']);
    return { address, link };
  }
  throw new Error(`no free address in ${prefix}.0/24`);
}

async function claimSubnet(part: Part): Promise<string> {
  const busy = await busyAddresses();
  for (let second = 77; second <= 99; second += 1) {
    for (let third = 0; third <= 255; third += 1) {
      const prefix = `10.${second}.${third}`;
      if (busy.some((used) => overlaps(prefix, used))) continue;
      if (await claimAddress(prefix, part)) return prefix;
    }
  }
  throw new Error('no free network between 10.77.0.0 and 10.99.255.0');
}

interface Busy {
  readonly address: number;
  readonly bits: number;
}

/** What the machine has addresses in or routes to, a default route aside. */
async function busyAddresses(): Promise<Busy[]> {
  const result = await run(['ip', '-json', '-4', 'route', 'show', 'table', 'all']);
  if (result.code !== 0) throw new Error(`ip route: ${result.stderr.trim()}`);
  const routes = JSON.parse(result.stdout || '[]') as { dst?: string }[];
  return routes.flatMap(({ dst }) => {
    const match = /^(\d+\.\d+\.\d+\.\d+)(?:\/(\d+))?$/.exec(dst ?? '');
    return match?.[1] === undefined ? [] : [{ address: numberOf(match[1]), bits: Number(match[2] ?? 32) }];
  });
}

function overlaps(prefix: string, busy: Busy): boolean {
  const size = 2 ** (32 - Math.min(busy.bits, 24));
  return Math.floor(numberOf(`${prefix}.0`) / size) === Math.floor(busy.address / size);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
