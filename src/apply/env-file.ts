import { randomBytes } from 'node:crypto';
import { setEnvValues } from '../domain/env-file.ts';
import { parseVersion } from '../domain/version.ts';
import { readText, writeFileAtomic } from '../effects/files.ts';
import type { Project } from '../observe/project.ts';
import { draftEnv } from '../plan/env.ts';
import type { Json } from '../plan/plan.ts';
import { backUpEnv, putBack } from './backups.ts';
import { executor } from './step.ts';

interface WriteEnvParams {
  readonly version: string;
  readonly development: boolean;
  /** Keys that .env.example brought are added. */
  readonly learns: boolean;
  readonly [key: string]: Json;
}

interface WriteEnvMemo {
  /** File name of the backup in the backups folder; null if there was no docker/.env. */
  readonly backup: string | null;
  readonly [key: string]: string | null;
}

/**
 * Makes docker/.env say the version, in one atomic write. Undone, it is byte for byte what it was; a file that did not exist
 * before stays, because a database may have been made with its secrets, but names no version: nothing is installed.
 */
export function writeEnvExecutor(project: Project, now: () => Date) {
  return executor<WriteEnvParams, WriteEnvMemo>({
    async before() {
      return { backup: await backUpEnv(project, now()) };
    },
    async apply({ version, development, learns }) {
      const envText = await readText(project.envFile);
      const draft = draftEnv({
        envText,
        exampleText: learns !== false || envText === null ? ((await readText(project.envExample)) ?? '') : '',
        path: project.envFile,
        version: parseVersion(version, 'version'),
        secrets: project.config.secrets,
        development: development === true,
      });
      if (!draft.changed) return 'unchanged';
      const secrets = Object.fromEntries(draft.newSecrets.map((key) => [key, newSecret()]));
      await writeFileAtomic(project.envFile, setEnvValues(draft.text, project.envFile, secrets), { mode: 0o600 });
      return 'done';
    },
    async undo(_params, { backup }) {
      if (backup !== null) return putBack(project, backup);
      const text = await readText(project.envFile);
      if (text === null) return;
      const unset = setEnvValues(text, project.envFile, { IMAGE_TAG: null });
      if (unset !== text) await writeFileAtomic(project.envFile, unset, { mode: 0o600 });
    },
  });
}

/** 256 random bits, in characters that no file format and no shell takes for anything else. */
function newSecret(): string {
  return randomBytes(32).toString('hex');
}
