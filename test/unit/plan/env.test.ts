import { describe, expect, test } from 'vitest';
import { parseVersion } from '../../../src/domain/version.ts';
import { draftEnv, SECRET_STAND_IN, type EnvDraft } from '../../../src/plan/env.ts';

const EXAMPLE = `# What runs.
IMAGE_TAG=__WILL_BE_SET_BY_INSTALLER__
TASK_EXECUTOR_IMAGE=

# xingrin:secret
DB_PASSWORD=
PUBLIC_PORT=8083
`;

function draft(envText: string | null, exampleText = EXAMPLE): EnvDraft {
  const version = parseVersion('v1.1.0', 'version');
  return draftEnv({ envText, exampleText, path: 'docker/.env', version, secrets: ['DJANGO_SECRET_KEY'] });
}

describe('the first docker/.env', () => {
  test('is the example with the version; secrets are to be made', () => {
    const { text, changed, newSecrets } = draft(null);
    expect([changed, newSecrets]).toEqual([true, ['DB_PASSWORD']]);
    expect(text).toBe(
      EXAMPLE.replace('__WILL_BE_SET_BY_INSTALLER__', 'v1.1.0').replace('SWORD=', `SWORD=${SECRET_STAND_IN}`),
    );
  });

  test.each(['__WILL_BE_SET_BY_INSTALLER__', ''])(
    'where an installer was killed and left IMAGE_TAG=%s: empty secrets are made, those that are there stay',
    (tag) => {
      const killed = EXAMPLE.replace('__WILL_BE_SET_BY_INSTALLER__', tag);
      expect(draft(killed).newSecrets).toEqual(['DB_PASSWORD']);
      expect(draft(killed.replace('SWORD=', 'SWORD=kept')).newSecrets).toEqual([]);
      expect(draft(killed.replace('SWORD=', 'SWORD=kept')).text).toContain('\nDB_PASSWORD=kept\n');
    },
  );
});

describe('a later deployment', () => {
  const OWN =
    "PUBLIC_PORT=1\r\n# mine\r\nDB_PASSWORD='a$b&|/\"'\r\nMY_OWN=x\r\nIMAGE_TAG=v1.0.0 # runs\r\nTASK_EXECUTOR_IMAGE=\r\n";

  test('changes IMAGE_TAG and nothing else: no secret, no comment, no order, no line end', () => {
    const { text, added, newSecrets } = draft(OWN);
    expect(text).toBe(OWN.replace('v1.0.0', 'v1.1.0'));
    expect([added, newSecrets]).toEqual([[], []]);
    expect(draft(text)).toMatchObject({ changed: false, text });
  });

  test('adds keys that the release brought, with their defaults; a secret among them is to be made', () => {
    const { text, added, newSecrets } = draft(OWN, `${EXAMPLE}# Since v1.1.0.\nNEW=1\nDJANGO_SECRET_KEY=\n`);
    expect([added, newSecrets]).toEqual([['NEW', 'DJANGO_SECRET_KEY'], ['DJANGO_SECRET_KEY']]);
    expect(text.startsWith(OWN.replace('v1.0.0', 'v1.1.0'))).toBe(true);
    expect(text).toMatch(/# Since v1\.1\.0\.\r?\nNEW=1\r?\nDJANGO_SECRET_KEY=xingrin-makes-this-secret\r?\n$/);
  });

  test('an empty secret of a stack that runs stays empty: its database was made with that', () => {
    const empty = OWN.replace(/DB_PASSWORD=.*/, 'DB_PASSWORD=');
    expect(draft(empty)).toMatchObject({ newSecrets: [], added: [] });
  });

  test('forgets the image of development mode, and no other', () => {
    for (const [image, after] of [
      ['docker-worker:v1.0.0-dev', ''],
      ['team/own-worker:v7.0.0', 'team/own-worker:v7.0.0'],
    ]) {
      const { text } = draft(OWN.replace('IMAGE=', `IMAGE=${image}`));
      expect(text).toMatch(new RegExp(`^TASK_EXECUTOR_IMAGE=${after}\\r?$`, 'm'));
    }
  });

  test('in development tasks run what is built here, and leaving it changes nothing else', () => {
    const version = parseVersion('v1.1.0', 'version');
    const input = { exampleText: EXAMPLE, path: 'docker/.env', version, secrets: [] };
    const entered = draftEnv({ ...input, envText: OWN, development: true });
    expect(entered.executor).toBe('docker-worker:v1.1.0-dev');
    expect(entered.text).toBe(draft(OWN).text.replace('IMAGE=\r', 'IMAGE=docker-worker:v1.1.0-dev\r'));
    expect(draftEnv({ ...input, envText: entered.text, development: true }).changed).toBe(false);
    expect(entered.replaced).toBeNull();
    const chosen = OWN.replace('IMAGE=\r', 'IMAGE=team/own-worker:v7.0.0\r');
    expect(draftEnv({ ...input, envText: chosen, development: true }).replaced).toBe('team/own-worker:v7.0.0');
    expect(draftEnv({ ...input, envText: chosen }).replaced).toBeNull();
    const left = draftEnv({ ...input, envText: entered.text });
    expect([left.executor, left.text]).toEqual(['', draft(OWN).text]);
    expect(draftEnv({ ...input, envText: null, development: true }).text).toContain('IMAGE=docker-worker:v1.1.0-dev\n');
  });

  test('says which secret is the one that everybody knows', () => {
    const known = EXAMPLE.replace('DB_PASSWORD=', 'DB_PASSWORD=example');
    expect(draft('IMAGE_TAG=v1.0.0\nDB_PASSWORD=example\n', known).publicSecrets).toEqual(['DB_PASSWORD']);
    expect(draft(OWN, known).publicSecrets).toEqual([]);
  });
});
