import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { fail } from '../domain/errors.ts';
import { exists, listFolder, makeFolder, readText, remove } from '../effects/files.ts';
import { run } from '../effects/process.ts';
import { moveFolder } from '../effects/trees.ts';

/** What is expensive to make and the same for every sandbox. Safe to delete while no sandbox is being started. */
export const SANDBOX_CACHE = '/var/cache/xingrin';

/**
 * Unpacks Debian packages with all they depend on into a folder of their own, from the machine's own package sources. Nothing is
 * installed: no service starts, nothing of the machine changes. The second time it is there already.
 *
 * @param packages names; what is named must exist
 * @param without archives not to unpack though something depends on them (its optional parts will not work)
 * @returns the folder, laid out like `/`
 */
export async function unpackDebian(packages: readonly string[], without: readonly RegExp[] = []): Promise<string> {
  const release = (await readText('/etc/os-release')) ?? '';
  const key = createHash('sha256')
    .update([...packages, ...without.map(String), release, process.arch].join('\n'))
    .digest('hex');
  const folder = join(SANDBOX_CACHE, 'debian', `${packages[0] ?? ''}-${key.slice(0, 12)}`);
  if (await exists(folder)) return folder;
  const draft = join(SANDBOX_CACHE, 'debian', `.${randomUUID()}`);
  const archives = join(draft, 'archives');
  const tree = join(draft, 'tree');
  try {
    await makeFolder(tree, 0o755);
    await makeFolder(join(archives, 'partial'), 0o755);
    await download(packages, archives);
    for (const archive of await listFolder(archives)) {
      const wanted = archive.endsWith('.deb') && !without.some((pattern) => pattern.test(archive));
      if (wanted) await extract(join(archives, archive), tree);
    }
    await moveFolder(tree, folder);
  } finally {
    await remove(draft);
  }
  return folder;
}

/** The packages and everything they need, as if nothing were installed. */
async function download(packages: readonly string[], into: string): Promise<void> {
  const apart = [
    '-o',
    'Dir::State::status=/dev/null',
    '-o',
    `Dir::Cache::archives=${into}`,
    '-o',
    'Debug::NoLocking=true',
  ];
  const how = ['--download-only', '--yes', '-qq', '--no-install-recommends'];
  const argv = ['apt-get', 'install', ...how, ...apart, ...packages];
  let result = await run(argv);
  if (result.code !== 0) {
    await run(['apt-get', 'update', '-qq', '-o', 'DPkg::Lock::Timeout=300']);
    result = await run(argv);
  }
  if (result.code === 0) return;
  fail(
    'PRECONDITION',
    {
      en: `cannot get the packages ${packages.join(' ')} from this machine's package sources`,
      zh: `无法从本机的软件源获取软件包 ${packages.join(' ')}`,
    },
    {
      hint: {
        en: 'check /etc/apt/sources.list and run: apt-get update',
        zh: '请检查 /etc/apt/sources.list 并运行:apt-get update',
      },
      evidence: result.stderr.trim(),
    },
  );
}

async function extract(archive: string, tree: string): Promise<void> {
  const result = await run(['dpkg-deb', '--extract', archive, tree]);
  if (result.code === 0) return;
  fail('FAILED', { en: `cannot unpack ${archive}`, zh: `无法解开 ${archive}` }, { evidence: result.stderr.trim() });
}
