/*
 * How texts become words: the same for what is searched and for what it is searched in, on every server, whatever version of
 * Unicode its database has. A word is a run of letters, digits and marks, without case, width and accents. In scripts that
 * are written without spaces every character is a word, and what is searched are words that follow one another; a pictogram
 * is a word too.
 */

/** To be changed with anything below that makes other words of a text: indexes of another version are made anew. */
export const wordsVersion = 1

/** A word is cut after so many characters, on both sides: nobody types more, and a list of objects hangs on each. */
const longestWord = 64

const spaceless = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tai_Tham', 'Bopomofo']
  .map(script => `\\p{scx=${script}}`)
  .join('')

const wordPattern = new RegExp(
  [
    `(?=[\\p{L}\\p{N}])[${spaceless}]\\p{M}*`,
    `(?:(?![${spaceless}])[\\p{L}\\p{N}\\p{M}])+`,
    '\\p{RI}\\p{RI}',
    '\\p{Extended_Pictographic}',
  ].join('|'),
  'gu',
)

/**
 * Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic, which some write and others do not; Arabic's lengthening;
 * what chooses the look of a pictogram.
 */
const optionalMarks =
  /[\ufe00-\ufe0f\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0640\u064b-\u065f\u0670]/g
/** Between letters they hold a word together: "don’t" is "dont". */
const apostrophes = /(?<=\p{L})['’ʼ＇](?=\p{L})/gu

/** By way of upper case, which knows that ß is SS, and joins forms that lower case keeps apart; ẞ has none but itself. */
const withoutCase = (text: string): string => text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ')

const folded = (text: string): string =>
  withoutCase(text.replace(apostrophes, '').normalize('NFKC'))
    .normalize('NFKD')
    .replace(optionalMarks, '')
    .normalize('NFC')

/** The words of a text, in order. */
export function wordsOf(text: string): string[] {
  const words = folded(text).match(wordPattern) ?? []
  return words.map(cut)
}

function cut(word: string): string {
  if (word.length <= longestWord) return word
  const characters = [...word]
  return characters.length <= longestWord ? word : characters.slice(0, longestWord).join('')
}

/**
 * What is searched, as phrases: what stands between spaces belongs together, such as an address, a word with a hyphen, or
 * text in a script without spaces.
 */
export const phrasesOf = (text: string): string[][] =>
  text
    .split(/\s+/u)
    .map(wordsOf)
    .filter(words => words.length > 0)
