/*
 * Values as they stand in the headers that an export writes. Whatever a value holds, it ends no line that it should not end,
 * and reads back as it was.
 */

const printable = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** A line has at most 998 characters (RFC 5322 §2.1.1); names are short. */
const longestPlain = 900
/** An encoded word has at most 75 characters (RFC 2047 §2): 45 bytes in Base64. */
const wordBytes = 45

const encoder = new TextEncoder()

/** Text as it is, if that reads back as itself; else in encoded words (RFC 2047), one a line. */
export function headerText(text: string, lineEnd: string): string {
  const isPlain = text.length <= longestPlain && printable.test(text) && !text.includes('=?')
  return isPlain ? text : encodedWords(text).join(`${lineEnd} `)
}

function encodedWords(text: string): string[] {
  const words: string[] = []
  let word = ''
  let bytes = 0
  const close = () => {
    words.push(`=?utf-8?B?${Buffer.from(word, 'utf8').toString('base64')}?=`)
    word = ''
    bytes = 0
  }
  for (const character of text) {
    const length = encoder.encode(character).length
    if (bytes + length > wordBytes) close()
    word += character
    bytes += length
  }
  close()
  return words
}

/** CPM addresses have no character that would end one; in brackets none is taken for a group. */
export const headerAddresses = (addresses: readonly string[], lineEnd: string): string =>
  addresses.map(address => `<${address}>`).join(`,${lineEnd} `)

export const readHeaderAddresses = (value: string | undefined): string[] =>
  [...(value ?? '').matchAll(/<([^<>]*)>/g)].map(([, address = '']) => address)

/** The file name of a media, for programs that show or save it (RFC 2231). */
export const headerFileName = (name: string): string =>
  /^[A-Za-z0-9._-]{1,60}$/.test(name)
    ? `filename="${name}"`
    : `filename*=utf-8''${Array.from(encoder.encode(name), byte => `%${byte.toString(16).padStart(2, '0')}`).join('')}`
