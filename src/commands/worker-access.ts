import { KeyRing } from '../effects/key-ring.ts';
import { projectKeyPath } from '../effects/project-key.ts';
import { askSecret } from '../effects/prompt.ts';
import type { Project } from '../observe/project.ts';
import type { Session } from './session.ts';

/** The keys that a command may log in at workers with; passphrases are asked for only where somebody can answer. */
export function keyRingOf(session: Session, project: Project, password?: string): KeyRing {
  const { terminal, signal } = session;
  return new KeyRing({
    projectKey: projectKeyPath(project.keys),
    transport: session.globals.transport,
    askPassphrase: async (path) => {
      if (!terminal.interactive) return null;
      return askSecret(terminal.text({ en: `Passphrase of ${path}:`, zh: `密钥 ${path} 的口令:` }), signal);
    },
    ...(password === undefined ? {} : { password }),
  });
}
