/** One message in every language the product speaks. Written where it is used, so that neither can be forgotten. */
export interface Text {
  readonly en: string;
  readonly zh: string;
}

export type Language = 'en' | 'zh';

/** The same words in every language: names, versions, addresses. */
export function same(words: string): Text {
  return { en: words, zh: words };
}
