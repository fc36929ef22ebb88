import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sourcesOfRelease, type SourcesFile } from '../domain/apt-sources.ts';
import { fail } from '../domain/errors.ts';
import { same, type Text } from '../domain/text.ts';
import { listFolder, makeFolder, readText, remove, writeFileAtomic } from './files.ts';
import { run } from './process.ts';

/** What a machine needs for the stack, and for a sandbox. */
export type HostPart = 'engine' | 'client' | 'compose' | 'buildx' | 'git' | 'iproute2' | 'iptables';

export interface HostPartState {
  readonly part: HostPart;
  readonly state: 'present' | 'missing' | 'too old';
  /** As the program tells it, without a leading v; null if missing. */
  readonly version: string | null;
}

interface Recipe {
  readonly version: readonly string[];
  /** Oldest version that will do: `20.10`. */
  readonly atLeast?: readonly [major: number, minor: number];
  /** Packages of which the first that the machine's sources have is installed. */
  readonly packages: readonly string[];
}

const PARTS: Record<HostPart, Recipe> = {
  engine: { version: ['dockerd', '--version'], atLeast: [20, 10], packages: ['docker.io'] },
  // Debian 13 has the client in a package of its own; where there is none it comes with the engine.
  client: { version: ['docker', '--version'], atLeast: [20, 10], packages: ['docker-cli', 'docker.io'] },
  compose: {
    version: ['docker', 'compose', 'version', '--short'],
    atLeast: [2, 0],
    packages: ['docker-compose-v2', 'docker-compose-plugin', 'docker-compose'],
  },
  buildx: { version: ['docker', 'buildx', 'version'], packages: ['docker-buildx', 'docker-buildx-plugin'] },
  git: { version: ['git', '--version'], packages: ['git'] },
  iproute2: { version: ['ip', '-Version'], packages: ['iproute2'] },
  iptables: { version: ['iptables', '--version'], packages: ['iptables'] },
};

/** Where Docker looks for plugins, for every user of the machine. */
const PLUGINS = '/usr/local/lib/docker/cli-plugins';

/** The first Debian release with Compose v2 and buildx; both are static programs that run on older ones too. */
const DEBIAN_WITH_PLUGINS = 'trixie';

/** Debian packages of the plugins. */
const PLUGIN_PACKAGES: Partial<Record<HostPart, string>> = { compose: 'docker-compose', buildx: 'docker-buildx' };

/** Looks at what the machine has; changes nothing. */
export async function inspectHost(parts: readonly HostPart[]): Promise<HostPartState[]> {
  return Promise.all(parts.map(inspect));
}

async function inspect(part: HostPart): Promise<HostPartState> {
  const { version: argv, atLeast } = PARTS[part];
  const result = await run(argv, { timeout: 30_000 });
  const version = result.code === 0 ? (/\d+\.\d+[\w.+~-]*/.exec(result.stdout)?.[0] ?? '') : await oldOne(part);
  if (version === null) return { part, state: 'missing', version };
  const [major = 0, minor = 0] = version.split('.').map((number) => Number.parseInt(number, 10));
  const [wantedMajor, wantedMinor] = atLeast ?? [0, 0];
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return { part, state: enough ? 'present' : 'too old', version };
}

/** Compose v1 was a program of its own. */
async function oldOne(part: HostPart): Promise<string | null> {
  if (part !== 'compose') return null;
  const result = await run(['docker-compose', 'version', '--short'], { timeout: 30_000 });
  return result.code === 0 && result.stdout.trim().startsWith('1.') ? result.stdout.trim() : null;
}

/**
 * Installs parts from the machine's own package sources. Needs root and apt (Debian, Ubuntu).
 *
 * @param report gets a line for each thing that is done
 * @throws PRECONDITION (exit 6) without root or apt, or where a part cannot be had
 */
export async function installHost(parts: readonly HostPart[], report: (line: string) => void): Promise<void> {
  if (parts.length === 0) return;
  requireRoot();
  await refreshLists(report);
  const packages: string[] = [];
  const plugins: string[] = [];
  for (const part of parts) {
    const available = await firstAvailable(part);
    const plugin = PLUGIN_PACKAGES[part];
    if (available !== null) packages.push(available);
    else if (plugin !== undefined) plugins.push(plugin);
    else notToBeHad(part);
  }
  await installListed(packages, report);
  if (plugins.length > 0) await installPlugins(plugins, report);
  const left = (await inspectHost(parts)).find((state) => state.state !== 'present');
  if (left !== undefined) notToBeHad(left.part);
}

/** Whether {@link installHost} can do its work here: as root, with apt. Changes nothing. */
export async function mayInstall(): Promise<boolean> {
  return process.getuid?.() === 0 && (await run(['apt-get', '--version'], { timeout: 30_000 })).code === 0;
}

/** Installs packages by their names, whatever they hold. Needs root and apt. */
export async function installPackages(packages: readonly string[], report: (line: string) => void): Promise<void> {
  if (packages.length === 0) return;
  requireRoot();
  await refreshLists(report);
  await installListed(packages, report);
}

/** What to type to get Compose v2 on this machine. */
export async function composeInstallHint(): Promise<Text> {
  const available = await firstAvailable('compose').catch(() => null);
  if (available !== null) return same(`sudo apt-get install ${available}`);
  const sources = await newerSources();
  if (sources === null) {
    return {
      en: "install Docker's Compose plugin (v2 or later) by your distribution's means, then: docker compose version",
      zh: '请用您的发行版的方式安装 Docker 的 Compose 插件(v2 或更高版本),然后运行:docker compose version',
    };
  }
  const { release } = await distribution();
  const suffix = sources.path.endsWith('.sources') ? 'sources' : 'list';
  return same(
    [
      `d=$(mktemp -d) && mkdir -p "$d/lists/partial" && cd "$d"`,
      `sed 's/${release}/${DEBIAN_WITH_PLUGINS}/g' ${sources.path} > next.${suffix}`,
      `a="-o Dir::Etc::SourceList=$d/next.${suffix} -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=$d/lists"`,
      'sudo apt-get $a update && apt-get $a download docker-compose docker-buildx',
      'for p in *.deb; do dpkg --extract "$p" .; done',
      `sudo install -D -t ${PLUGINS} usr/libexec/docker/cli-plugins/*`,
    ].join('\n'),
  );
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  fail(
    'PRECONDITION',
    { en: 'only root may install packages', zh: '只有 root 才能安装软件包' },
    { hint: { en: 'run the same command with sudo', zh: '请用 sudo 运行同一条命令' } },
  );
}

async function refreshLists(report: (line: string) => void): Promise<void> {
  report('apt-get update');
  const result = await apt(['update']);
  if (result.code === 127) {
    fail(
      'PRECONDITION',
      { en: 'this machine has no apt: packages cannot be installed here', zh: '本机没有 apt:无法在此安装软件包' },
      {
        hint: {
          en: "install Docker Engine and its Compose plugin by your distribution's means",
          zh: '请用您的发行版的方式安装 Docker 引擎及其 Compose 插件',
        },
      },
    );
  }
}

async function installListed(packages: readonly string[], report: (line: string) => void): Promise<void> {
  if (packages.length === 0) return;
  const names = [...new Set(packages)];
  report(`apt-get install ${names.join(' ')}`);
  const result = await apt(['install', '--yes', '--no-install-recommends', ...names]);
  if (result.code === 0) return;
  fail(
    'PRECONDITION',
    { en: `apt could not install ${names.join(' ')}`, zh: `apt 无法安装 ${names.join(' ')}` },
    { evidence: lastLines(result.stderr || result.stdout), hint: same(`sudo apt-get install ${names.join(' ')}`) },
  );
}

/** The package of a part that the machine's sources have, in a version that will do; null if none. */
async function firstAvailable(part: HostPart): Promise<string | null> {
  const { packages, atLeast } = PARTS[part];
  for (const name of packages) {
    const result = await run(['apt-cache', 'policy', name], { env: inEnglish() });
    const candidate = /^\s+Candidate: (?:\d+:)?(\d+)[.\d]*/m.exec(result.stdout)?.[1];
    if (candidate !== undefined && Number(candidate) >= (atLeast?.[0] ?? 0)) return name;
  }
  return null;
}

/** Takes Docker's plugins out of the packages of a newer Debian, whose other packages stay out of reach. */
async function installPlugins(packages: readonly string[], report: (line: string) => void): Promise<void> {
  const sources = await newerSources();
  if (sources === null) notToBeHad('compose');
  const folder = await mkdtemp(join(tmpdir(), 'xingrin-plugins-'));
  try {
    const file = join(folder, sources.path.endsWith('.sources') ? 'next.sources' : 'next.list');
    await writeFileAtomic(file, sources.text);
    await makeFolder(join(folder, 'lists', 'partial'), 0o755);
    await makeFolder(join(folder, 'cache', 'archives', 'partial'), 0o755);
    const apart = [
      `Dir::Etc::SourceList=${file}`,
      'Dir::Etc::SourceParts=/dev/null',
      `Dir::State::Lists=${folder}/lists`,
    ];
    apart.push(
      'Dir::State::status=/dev/null',
      'Dir::Etc::Preferences=/dev/null',
      'Dir::Etc::PreferencesParts=/dev/null',
    );
    apart.push(`Dir::Cache=${folder}/cache`);
    const options = apart.flatMap((option) => ['-o', option]);
    report(`apt-get download ${packages.join(' ')} (${DEBIAN_WITH_PLUGINS})`);
    for (const argv of [
      [...options, 'update'],
      [...options, 'download', ...packages],
    ]) {
      const result = await apt(argv, folder);
      if (result.code !== 0) notToBeHad('compose', lastLines(result.stderr));
    }
    for (const archive of await listFolder(folder)) {
      if (archive.endsWith('.deb')) await must(['dpkg-deb', '--extract', join(folder, archive), join(folder, 'tree')]);
    }
    const from = join(folder, 'tree', 'usr/libexec/docker/cli-plugins');
    await must(['mkdir', '-p', PLUGINS]);
    for (const plugin of await listFolder(from)) {
      report(join(PLUGINS, plugin));
      await must(['install', '-m', '0755', join(from, plugin), PLUGINS]);
    }
  } finally {
    await remove(folder);
  }
}

/** The machine's main source, rewritten for the Debian release that has the plugins; null elsewhere than on Debian. */
async function newerSources(): Promise<SourcesFile | null> {
  const { id, release } = await distribution();
  if (id !== 'debian' || release === '') return null;
  const folder = '/etc/apt/sources.list.d';
  const names = (await listFolder(folder)).filter((name) => /\.(list|sources)$/.test(name));
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))];
  const files = await Promise.all(paths.map(async (path) => ({ path, text: (await readText(path)) ?? '' })));
  return sourcesOfRelease(files, release, DEBIAN_WITH_PLUGINS);
}

async function distribution(): Promise<{ id: string; release: string }> {
  const text = (await readText('/etc/os-release')) ?? '';
  const value = (key: string): string => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), release: value('VERSION_CODENAME') };
}

function notToBeHad(part: HostPart, evidence?: string): never {
  fail(
    'PRECONDITION',
    {
      en: `${part}: this machine's package sources have nothing that will do`,
      zh: `${part}:本机的软件源中没有可用的软件包`,
    },
    {
      hint: {
        en: "add Docker's own package source for your distribution, then run the command again",
        zh: '请为您的发行版添加 Docker 官方软件源,然后重新运行该命令',
      },
      ...(evidence === undefined ? {} : { evidence }),
    },
  );
}

/** Other programs may be at work with apt: waits up to five minutes for them. */
function apt(args: readonly string[], cwd = '/'): ReturnType<typeof run> {
  const env = { ...inEnglish(), DEBIAN_FRONTEND: 'noninteractive' };
  return run(['apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', ...args], { cwd, env });
}

function inEnglish(): Record<string, string | undefined> {
  return { ...process.env, LC_ALL: 'C' };
}

async function must(argv: readonly string[]): Promise<void> {
  const result = await run(argv);
  if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr.trim()}`);
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-8).join('\n');
}
