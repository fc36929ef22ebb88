import * as z from 'zod';
import { DEFAULT_IMAGES, dockerfileOf, isImageName, isRepository } from './image.ts';
import { ruled } from './schema.ts';
import { distinct, inputSchema, readStrictYaml, type JsonSchema } from './strict-yaml.ts';

/** What a project wants, with every default filled in (contract, section 2). Paths are relative, with `/`. */
export interface Config {
  /** Where the images are, if neither the environment nor docker/.env says so; null for the default. */
  readonly repository: string | null;
  readonly mainBranch: string;
  readonly images: readonly ImageConfig[];
  readonly compose: {
    /** From the project root. */
    readonly directory: string;
    /** From that directory, like `devFile`. */
    readonly file: string;
    readonly devFile: string;
  };
  /** Keys of docker/.env that get a random value at the first install, where .env.example has them. */
  readonly secrets: readonly string[];
  /** Executables of the project, by the moment at which they run; from the project root. */
  readonly hooks: Readonly<Partial<Record<HookName, string>>>;
  readonly health: {
    /** Seconds until a service that is not well counts as failed. */
    readonly timeout: number;
    /** Seconds that a service without a health check must stay up. */
    readonly stable: number;
  };
  /** How many of each are kept. */
  readonly retention: {
    readonly deployments: number;
    readonly backups: number;
    /** Days that the container of a task stays after its end, with its output. */
    readonly taskDays: number;
  };
  readonly agent: {
    /** The address at which agents reach the server; null for the main server's own. */
    readonly server: string | null;
  };
}

/** One image of the matrix. */
export interface ImageConfig {
  readonly name: string;
  /** Dockerfile and build context, from the project root. */
  readonly dockerfile: string;
  readonly context: string;
  /** `linux/amd64` and the like; empty for the platform of whoever builds. */
  readonly platforms: readonly string[];
}

export type HookName = `${'pre' | 'post'}-${'install' | 'update' | 'rollback' | 'release' | 'publish'}`;

/** Keys that XingRin's own .env.example leaves to the installer. */
const DEFAULT_SECRETS = ['DB_PASSWORD', 'DJANGO_SECRET_KEY'];

const path = ruled(
  {
    en: 'must be a path inside the project: relative, without .., with / between its parts',
    zh: '必须是项目内的路径:相对路径,不含 ..,各级之间用 / 分隔',
  },
  /^[^/\\-][^\\]*$/,
  isInside,
);
const folder = ruled(
  {
    en: 'must be a folder inside the project: relative, without .., or . for the project itself',
    zh: '必须是项目内的目录:相对路径,不含 ..;项目本身写作 .',
  },
  /^[^/\\-][^\\]*$/,
  (text) => text === '.' || isInside(text),
);
const branch = ruled(
  { en: 'must be the name of a git branch', zh: '必须是 git 分支名' },
  /^[A-Za-z0-9_][A-Za-z0-9_./-]*$/,
  (text) => text.length <= 200 && !/\.\.|\/\/|\/\.|[./]$|\.lock(?:\/|$)/.test(text),
);
const key = ruled(
  { en: 'must be a key of docker/.env', zh: '必须是 docker/.env 中的键名' },
  /^[A-Za-z_][A-Za-z0-9_]*$/,
);
const imageName = ruled(
  {
    en: 'must be the name of an image: small letters and digits, with . _ or - between them, without repository and tag',
    zh: '必须是镜像名称:小写字母和数字,中间可用 . _ 或 -,不含仓库和标签',
  },
  /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/,
  isImageName,
);
const repository = ruled(
  {
    en: 'must be a Docker Hub user (yyhuni) or a registry and a path (registry.example.com/team)',
    zh: '必须是 Docker Hub 用户名(yyhuni)或镜像仓库地址加路径(registry.example.com/team)',
  },
  /^[^\s@]+$/,
  isRepository,
);
const platform = ruled(
  { en: 'a platform looks like linux/amd64', zh: '平台形如 linux/amd64' },
  /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9.]+)?$/,
);
const address = ruled(
  { en: 'must be an address like https://scan.example.com', zh: '必须是形如 https://scan.example.com 的地址' },
  /^https?:\/\//,
  isAddress,
);

const image = z.strictObject({
  name: imageName,
  dockerfile: path.optional(),
  context: folder.default('.'),
  platforms: distinct(z.array(platform)).default([]),
});

const schema = z.strictObject({
  repository: repository.optional(),
  mainBranch: branch.default('main'),
  images: distinct(z.array(image).min(1), (each) => each.name).optional(),
  compose: z
    .strictObject({
      directory: path.default('docker'),
      file: path.default('docker-compose.yml'),
      devFile: path.default('docker-compose.dev.yml'),
    })
    .prefault({}),
  secrets: distinct(z.array(key)).default(DEFAULT_SECRETS),
  hooks: z
    .strictObject({
      'pre-install': path.optional(),
      'post-install': path.optional(),
      'pre-update': path.optional(),
      'post-update': path.optional(),
      'pre-rollback': path.optional(),
      'post-rollback': path.optional(),
      'pre-release': path.optional(),
      'post-release': path.optional(),
      'pre-publish': path.optional(),
      'post-publish': path.optional(),
    } satisfies Record<HookName, z.ZodType>)
    .prefault({}),
  health: z
    .strictObject({
      timeout: z.number().min(1).max(86_400).default(300),
      stable: z.number().min(0).max(3_600).default(3),
    })
    .prefault({}),
  retention: z
    .strictObject({
      // The current and the previous deployment are never given up: there must be something to go back to.
      deployments: z.int().min(2).max(1_000).default(5),
      backups: z.int().min(1).max(1_000).default(10),
      taskDays: z.number().min(0).max(3_650).default(7),
    })
    .prefault({}),
  agent: z.strictObject({ server: address.optional() }).prefault({}),
});

/**
 * Reads xingrin.yaml; null stands for a project without one. Throws BAD_CONFIG (exit 2) naming `file`, the line, the key and the
 * rule, for an unknown key with the one that was likely meant.
 */
export function parseConfig(text: string | null, file: string): Config {
  const { repository: own, images, hooks, agent, ...rest } = readStrictYaml(text, file, schema);
  return {
    ...rest,
    repository: own ?? null,
    images: (images ?? DEFAULT_IMAGES.map((name) => ({ name, context: '.', platforms: [] }))).map(withDockerfile),
    hooks: hooks as Config['hooks'],
    agent: { server: agent.server ?? null },
  };
}

/** The JSON Schema of xingrin.yaml, for editors and other programs. */
export function configJsonSchema(): JsonSchema {
  const { $schema, ...rest } = inputSchema(schema);
  return { $schema, title: 'xingrin.yaml', ...rest };
}

function withDockerfile(each: Omit<ImageConfig, 'dockerfile'> & { dockerfile?: string | undefined }): ImageConfig {
  return { ...each, dockerfile: each.dockerfile ?? dockerfileOf(each.name) };
}

function isInside(text: string): boolean {
  const parts = text.split('/');
  return text.length <= 255 && !/[\p{Cc}\\]/u.test(text) && parts.every((part) => !['', '.', '..'].includes(part));
}

function isAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return ['http:', 'https:'].includes(protocol) && username === '' && password === '';
}
