import { same, type Text } from '../domain/text.ts';
import type { HostPart, HostPartState } from '../effects/host-packages.ts';

const NAMES: Readonly<Record<HostPart, Text>> = {
  engine: { en: 'Docker Engine', zh: 'Docker 引擎' },
  client: { en: "Docker's client", zh: 'Docker 客户端' },
  compose: { en: 'Docker Compose', zh: 'Docker Compose' },
  buildx: { en: 'Docker buildx', zh: 'Docker buildx' },
  git: same('git'),
  iproute2: same('iproute2'),
  iptables: same('iptables'),
};

/** What people call a part of a machine; for one that is too old, which version will not do. */
export function hostPartName({ part, version }: HostPartState): Text {
  const { en, zh } = NAMES[part];
  if (version === null) return { en, zh };
  return { en: `${en} (newer than ${version})`, zh: `${zh}(高于 ${version})` };
}
