import { expect, test } from 'vitest';
import { expandIdentity, lookUpSsh } from '../../../src/domain/ssh-config.ts';

const look = (text: string, alias = 'a'): ReturnType<typeof lookUpSsh> => lookUpSsh(text, alias, 'me');

test('the first value of a keyword counts, whatever its capitals, and blocks end where the next begins', () => {
  const text = 'USER first\nHost a b\n  User second # why not\n  hostname %h.example\nHost *\n  Port 2022\n';
  expect(look(text)).toMatchObject({ user: 'first', hostName: 'a.example', port: '2022' });
  expect(look(text, 'c')).toMatchObject({ user: 'first', hostName: null, port: '2022' });
});

test('patterns: stars, question marks, and what is refused', () => {
  const text = 'Host w?-* !w1-off\n  User u\n';
  expect(['w1-a', 'w1-off', 'w-a'].map((alias) => look(text, alias).user)).toEqual(['u', null, null]);
});

test('Match looks at names only; what would run a program is left out', () => {
  const text = [
    'Match exec "touch /tmp/x"\n  User exec',
    'Match originalhost a localuser me\n  HostName h',
    'Match host h !user root\n  Port 7',
    'Match all\n  IdentityFile one\nIdentityFile two\nIdentityFile none',
  ].join('\n');
  expect(look(text)).toMatchObject({ user: null, hostName: 'h', port: '7', identityFiles: ['one', 'two'] });
});

test('ProxyJump and ProxyCommand: whichever comes first', () => {
  expect(look('ProxyJump j\nProxyCommand nc')).toMatchObject({ proxyJump: 'j', proxyCommand: false });
  expect(look('ProxyCommand nc\nProxyJump j')).toMatchObject({ proxyJump: null, proxyCommand: true });
  expect(look('ProxyJump none\nProxyCommand nc')).toMatchObject({ proxyJump: null, proxyCommand: false });
});

test('a file that includes itself ends', () => {
  const text = 'Include me\nUser u\n';
  expect(lookUpSsh(text, 'a', 'me', () => [text]).user).toBe('u');
});

test('paths of keys: home, names, and what is not ours to know', () => {
  const facts = { home: '/home/me', localUser: 'me', host: 'h', user: 'r' };
  expect(expandIdentity('~/.ssh/%r@%h-%u%%', facts)).toBe('/home/me/.ssh/r@h-me%');
  expect(expandIdentity('%d/k', facts)).toBe('/home/me/k');
  expect([expandIdentity('/k/%i', facts), expandIdentity('${HOME}/k', facts)]).toEqual([null, null]);
});
