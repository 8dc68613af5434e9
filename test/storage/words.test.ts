import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isWord } from '../../src/ports/search-index.ts'
import { phrasesOf, wordsOf } from '../../src/storage/search/words.ts'

/*
 * Proves: whatever a text is, its words are such as an index takes, and words of themselves; and texts that people take for the
 * same have the same words. It fails if a script is cut where it must not be, or a search finds less than its own text.
 */

const same: readonly (readonly string[])[] = [
  ['Straße', 'STRASSE', 'strasse', 'STRAẞE'],
  ['ΟΔΟΣ', 'οδος', 'οδός'],
  ['İstanbul', 'istanbul', 'ISTANBUL', 'ıstanbul'],
  ['don’t', "don't", 'DONT'],
  ['naïve', 'nai\u0308ve', 'NAIVE'],
  ['ﬁnance', 'finance', 'ＦＩＮＡＮＣＥ'],
  ['مُحَمَّد', 'محمـد', 'محمد'],
  ['한국어', '한국어'.normalize('NFD')],
  ['❤️', '❤'],
]
for (const texts of same)
  test(`${texts.join(', ')} are one word`, () => {
    const [first = '', ...others] = texts
    assert.is(wordsOf(first).length, 1)
    for (const text of others) assert.equal(wordsOf(text), wordsOf(first), text)
  })

const cut: Readonly<Record<string, readonly string[]>> = {
  'What is for lunch?': ['what', 'is', 'for', 'lunch'],
  'tel:+4930123456': ['tel', '4930123456'],
  'Alice.B@a.example': ['alice', 'b', 'a', 'example'],
  東京タワー: ['東', '京', 'タ', 'ワ', 'ー'],
  สวัสดี: ['ส', 'วั', 'ส', 'ดี'],
  हिन्दी: ['हिन्दी'],
  'пить чай 🍵🇩🇪': ['пить', 'чаи', '🍵', '🇩🇪'],
  mixed東京text: ['mixed', '東', '京', 'text'],
  '"*(){}^:-+ ': [],
  '\u0000\u2028\ud800': [],
}
for (const [text, words] of Object.entries(cut))
  test(`the words of ${JSON.stringify(text)}`, () => assert.equal(wordsOf(text), words))

test('what stands between spaces belongs together', () => {
  assert.equal(phrasesOf('  hi alice@a.example 東京 -- '), [['hi'], ['alice', 'a', 'example'], ['東', '京']])
})

test('words are words, and words of themselves', () => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 30 }), fc.string({ unit: 'grapheme', maxLength: 30 }))
  fc.assert(
    fc.property(text, text => {
      const words = wordsOf(text)
      assert.ok(words.every(isWord), JSON.stringify(words))
      assert.equal(wordsOf(words.join(' ')), words)
    }),
    { numRuns: 2_000 },
  )
})

test('a word as long as a text is cut, on both sides', () => {
  assert.equal(wordsOf('x'.repeat(4_096)), ['x'.repeat(64)])
  assert.equal(wordsOf('𝒳'.repeat(100)), ['x'.repeat(64)])
  assert.equal(wordsOf('𐐨'.repeat(100)), ['𐐨'.repeat(64)])
})

test.run()
