import { expect, test } from 'vitest';
import { passwordInAddress, redact, soundsSecret } from '../../../src/domain/redact.ts';

test.each([
  ['DB_PASSWORD', true],
  ['REDIS_PASS', true],
  ['DJANGO_SECRET_KEY', true],
  ['SIGNING_KEY', true],
  ['SENTRY_DSN', true],
  ['FOFA_API_KEY', true],
  ['AGENT_TOKEN', true],
  ['COMPASS', false],
  ['PASSAGES', false],
  ['KEYBOARD', false],
  ['IMAGE_TAG', false],
])('%s sounds secret: %s', (key, secret) => expect(soundsSecret(key)).toBe(secret));

test.each([
  ['redis://:hunter22@cache:6379/0', 'hunter22'],
  ['postgres://app:p%40ss:word@db/x', 'p%40ss:word'],
  ['https://host/a:b@c', null],
  ['redis://cache:6379', null],
  ['hunter22', null],
])('the password in %s', (value, password) => expect(passwordInAddress(value)).toBe(password));

test('a longer secret is blotted out before one that stands in it', () => {
  expect(redact('x=secret-one y=secret z=abc', ['secret', 'secret-one', 'abc'])).toBe('x=*** y=*** z=abc');
});
