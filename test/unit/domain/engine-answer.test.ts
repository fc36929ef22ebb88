import { describe, expect, it } from 'vitest';
import { readEngineAnswer } from '../../../src/domain/engine-answer.ts';

describe('readEngineAnswer', () => {
  it('tells the status and what the engine says', () => {
    const head = 'HTTP/1.0 409 Conflict\r\nContent-Type: application/json\r\n\r\n';
    expect(readEngineAnswer(`${head}{"message":"taken"}`)).toEqual({ status: 409, message: 'taken' });
    expect(readEngineAnswer('HTTP/1.1 201 Created\r\n\r\n{"Id":"a"}')).toEqual({ status: 201, message: '' });
  });

  it.each(['', 'no docker here', 'HTTP/1.0 201 Created\r\n', 'HTTP/1.0 999 x\r\n\r\n', '\nHTTP/1.0 201 \r\n\r\n'])(
    '%j is no answer',
    (text) => expect(readEngineAnswer(text)).toBeNull(),
  );

  it.each(['{', '[]', '{"message":1}', 'null'])('%s says nothing', (body) => {
    expect(readEngineAnswer(`HTTP/1.0 500 x\r\n\r\n${body}`)).toEqual({ status: 500, message: '' });
  });
});
