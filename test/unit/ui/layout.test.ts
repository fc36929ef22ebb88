import fc from 'fast-check';
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { wrapped } from '../../../src/ui/layout.ts';

test('lines break between words and between Chinese characters, never within a name', () => {
  expect(wrapped('build xingrin-server, xingrin-worker here', 22)).toEqual([
    'build xingrin-server,',
    'xingrin-worker here',
  ]);
  expect(wrapped('在本机构建 shop-server:v1.0.0、shop-worker:v1.0.0', 32)).toEqual([
    '在本机构建 shop-server:v1.0.0、',
    'shop-worker:v1.0.0',
  ]);
  expect(wrapped('服务保持运行', 8)).toEqual(['服务保持', '运行']);
});

test('no line begins with the end of a clause or ends with the beginning of one', () => {
  expect(wrapped('服务已运行,但什么都没有', 10)).toEqual(['服务已运', '行,但什么', '都没有']);
  expect(wrapped('按发布清单核对(失败)', 15)).toEqual(['按发布清单核对', '(失败)']);
  expect(wrapped('镜像 (shop:v1),完成', 13)).toEqual(['镜像', '(shop:v1),完', '成']);
});

test('nothing is lost but blanks where a line ends, and only what cannot be broken is too wide', () => {
  const word = fc.constantFrom('镜像', '拉取', 'xingrin-server:v1.2.0', ',', '。', 'a', ' ', '(x)', '、');
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), fc.integer({ min: 24, max: 60 }), (words, columns) => {
      const text = words.join('');
      const lines = wrapped(text, columns);
      expect(lines.join('').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
      for (const line of lines.filter((each) => stringWidth(each) > columns)) expect(line).not.toMatch(/\S\s+\S/);
    }),
  );
});
