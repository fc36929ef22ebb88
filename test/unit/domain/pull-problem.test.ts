import { expect, test } from 'vitest';
import { pullProblem, pullProblemText } from '../../../src/domain/pull-problem.ts';

test.each([
  [
    'Error response from daemon: Get "https://reg.lan/v2/": dial tcp 10.0.0.9:443: connect: connection refused',
    'network',
  ],
  ['Error response from daemon: Get "https://reg.lan/v2/": dial tcp 10.0.0.9:443: i/o timeout', 'network'],
  ['Error response from daemon: Get "https://reg.lan/v2/": net/http: TLS handshake timeout', 'network'],
  ['error pulling image configuration: download failed after attempts=6: unexpected EOF', 'cut'],
  ['read tcp 10.0.0.2:41234->10.0.0.9:443: read: connection reset by peer', 'cut'],
  ['read tcp 10.0.0.2:41234->10.0.0.9:443: i/o timeout', 'cut'],
  ['unexpected EOF', 'cut'],
  ['filesystem layer verification failed for digest sha256:0123', 'altered'],
  ['failed commit on ref "layer-sha256:0123": unexpected commit digest sha256:4567, expected sha256:0123', 'altered'],
  ['write /var/lib/docker/tmp/GetImageBlob1: no space left on device', 'disk'],
])('%s', (told, problem) => {
  expect(pullProblem(told)).toBe(problem);
});

test('a pull that broke off does not say that the registry cannot be reached', () => {
  const { said, mend } = pullProblemText('cut', 'reg.lan', 'reg.lan/team/one:v1.0.0');
  expect(said.en).not.toContain('reach');
  expect(mend.en).toContain('docker pull reg.lan/team/one:v1.0.0');
});
