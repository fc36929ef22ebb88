import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkVariables,
  formatTaskRecord,
  newTaskId,
  parseTaskId,
  parseTaskRecord,
  parseVariables,
  stateWithoutContainer,
  taskContainer,
  taskEnd,
  taskState,
  type ContainerState,
} from '../../../src/domain/task.ts';
import { refusal } from '../refusal.ts';

describe('task ids', () => {
  it('are names that Docker takes and no path', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'az09._-/A \n') })),
        (text) => {
          let id: string;
          try {
            id = parseTaskId(text);
          } catch {
            return;
          }
          expect(taskContainer(id)).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/);
          expect(id).not.toContain('..');
        },
      ),
    );
    for (const good of ['1', 'nightly', 'scan-2026.11_25']) expect(parseTaskId(good)).toBe(good);
    for (const bad of ['', 'A', '../etc', 'a..b', '-rf', 'a/b', 'a b', '$(reboot)', 'a\n', '一', 'x'.repeat(65)])
      expect(refusal(() => parseTaskId(bad)).code).toBe('BAD_INPUT');
  });

  it('of ours sort by time and are such ids', () => {
    const id = newTaskId(new Date('2026-11-25T10:35:01.123Z'), '4f9a1c');
    expect(id).toBe('20261125-103501-4f9a1c');
    expect(parseTaskId(id)).toBe(id);
  });
});

describe('variables', () => {
  it('take any value, or the own one', () => {
    const own = { TOKEN: 's3cret', EMPTY: '' };
    expect(parseVariables(['A=b=c', 'TOKEN', 'EMPTY', 'A=', 'B="\'$(reboot)\n🚀'], own)).toEqual([
      { key: 'A', value: '' },
      { key: 'TOKEN', value: 's3cret' },
      { key: 'EMPTY', value: '' },
      { key: 'B', value: '"\'$(reboot)\n🚀' },
    ]);
  });

  it('are refused without ever showing a value', () => {
    expect(refusal(() => parseVariables(['MISSING'], {})).code).toBe('USAGE');
    for (const word of ['=s3cret', 's3 cret=1', '1A=s3cret', 's3cret;', 'A=s3cret\0', '__proto__=s3cret']) {
      const { text, details, exitCode } = refusal(() => parseVariables([word], {}));
      expect(exitCode).toBe(2);
      expect(JSON.stringify([text, details])).not.toMatch(/s3 ?cret/);
    }
  });
});

describe('variables that come as pairs', () => {
  it('are held to the same rules', () => {
    expect(checkVariables([['a.b', 's3cret\n']])).toEqual([{ key: 'a.b', value: 's3cret\n' }]);
    for (const [key, value] of [
      ['A=B', 's3cret'],
      ['__proto__', 's3cret'],
      ['A\0', 's3cret'],
      ['A', 's3cret\0'],
      ['', 's3cret'],
    ] as const) {
      const { text, details, exitCode } = refusal(() => checkVariables([[key, value]]));
      expect(exitCode).toBe(2);
      expect(JSON.stringify([text, details])).not.toContain('s3cret');
    }
  });

  it('of the caller are own ones, not what every object has', () => {
    expect(refusal(() => parseVariables(['constructor'], {})).code).toBe('USAGE');
  });
});

describe('records', () => {
  const record = {
    schema: 'xingrin-task/v1',
    id: 'a',
    mark: 'm',
    project: 'p',
    worker: { id: 2, name: '一号🚀' },
    image: 'i',
    args: ['"', '\n', '🚀'],
    sent: '2026-11-25T10:35:01.123Z',
    started: null,
    end: null,
  } as const;

  it('come back as they were written; damaged ones are none', () => {
    const text = formatTaskRecord({ ...record, args: [...record.args] });
    expect(parseTaskRecord(text)).toEqual(record);
    for (const damaged of ['', '{', '[]', text.slice(0, -5), text.replace('v1', 'v2')])
      expect(parseTaskRecord(damaged)).toBeNull();
  });

  it('tell what is known where no container is', () => {
    expect(stateWithoutContainer({ started: null, end: null })).toBe('waiting');
    expect(stateWithoutContainer({ started: '2026-11-25T10:35:01.123Z', end: null })).toBe('removed');
    expect(stateWithoutContainer({ started: null, end: { code: 125, at: null } })).toBe('failed');
    expect(stateWithoutContainer({ started: null, end: { code: 0, at: record.sent } })).toBe('removed');
  });
});

it("a task's state is what its container says", () => {
  const created: ContainerState = { status: 'created', code: 0, startedAt: null, finishedAt: null, error: '' };
  const at = '2026-11-25T10:35:01.123Z';
  const cases: [ContainerState, string, number | null][] = [
    [created, 'created', null],
    [{ ...created, code: 127, error: 'no such file' }, 'failed', 125],
    [{ ...created, status: 'running', startedAt: at }, 'running', null],
    [{ ...created, status: 'paused', startedAt: at }, 'paused', null],
    [{ ...created, status: 'exited', code: 3, startedAt: at, finishedAt: at }, 'ended', 3],
    [{ ...created, status: 'dead', code: 137, startedAt: at, finishedAt: at }, 'ended', 137],
  ];
  for (const [container, state, code] of cases) {
    expect(taskState(container)).toBe(state);
    expect(taskEnd(container)?.code ?? null).toBe(code);
  }
});
