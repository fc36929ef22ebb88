import type { Declare } from './program.ts';

/** From nothing to images in a registry: init, release, publish. */
export function declareReleasing({ t, command, heading }: Declare): void {
  heading({ en: 'Releasing:', zh: '发布:' });
  command(
    'init [directory]',
    { en: 'write a complete, working project', zh: '生成一个完整可用的项目' },
    async () => (await import('../commands/init.ts')).initCommand,
    (args) => ({ directory: args[0] ?? '.' }),
  );
  command(
    'release [version]',
    {
      en: 'cut a release: check, commit VERSION, tag, push the tag',
      zh: '发布新版本:检查、提交 VERSION、打标签并推送标签',
    },
    async () => (await import('../commands/release.ts')).releaseCommand,
    versionArgument,
  )
    .option('--publish', t({ en: 'go on to build and publish here', zh: '接着在本机构建并发布镜像' }))
    .option('--wait', t({ en: 'wait until CI has published it', zh: '等待 CI 发布完成' }));
  command(
    'publish [version]',
    {
      en: "build and push a git tag's images, then move VERSION",
      zh: '构建并推送某个标签的镜像,全部就绪后才更新 VERSION',
    },
    async () => (await import('../commands/publish.ts')).publishCommand,
    versionArgument,
  )
    .option('--image <name>', t({ en: 'build and push only this image', zh: '只构建并推送这一个镜像' }))
    .option(
      '--finalize',
      t({
        en: 'only verify that all images exist, then move VERSION and latest',
        zh: '只核对镜像是否齐全,然后更新 VERSION 和 latest',
      }),
    );
}

/** The version as an argument, beside the flags. */
export function versionArgument<F extends { version?: string }>([version]: string[], flags: F): F {
  return version === undefined ? flags : { ...flags, version };
}
