/*
 * Content-Transfer-Encoding (RFC 2045 §6), piece by piece.
 */

const base64LineBytes = 57 // 76 characters
const longestLine = 76

/** Base64 in lines, each with a line end. */
export async function* base64Lines(bytes: AsyncIterable<Uint8Array>, lineEnd: string): AsyncGenerator<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of bytes) {
    const all = rest.length === 0 ? asBuffer(piece) : Buffer.concat([rest, piece])
    const whole = all.length - (all.length % base64LineBytes)
    rest = Buffer.from(all.subarray(whole))
    if (whole > 0) yield inLines(all.subarray(0, whole), lineEnd)
  }
  if (rest.length > 0) yield inLines(rest, lineEnd)
}

function inLines(bytes: Buffer, lineEnd: string): Uint8Array {
  const text = bytes.toString('base64').replace(/.{76}/g, `$&${lineEnd}`)
  return Buffer.from(text.endsWith(lineEnd) ? text : text + lineEnd, 'latin1')
}

/** Text as quoted-printable, `\n` as a line end; ends with one, of which a soft one (`=`) does not belong to the text. */
export function quotedPrintable(text: string, lineEnd: string): string {
  if (text === '') return ''
  const lines = text.split('\n').map(line => softly(quoted(line), lineEnd))
  return lines.at(-1) === '' ? lines.join(lineEnd) : `${lines.join(lineEnd)}=${lineEnd}`
}

const encoder = new TextEncoder()
const escaped = (byte: number) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`

function quoted(line: string): string[] {
  const bytes = encoder.encode(line)
  return Array.from(bytes, (byte, at) => {
    const isBlank = byte === 0x20 || byte === 0x09
    const isPlain = (byte > 0x20 && byte < 0x7f && byte !== 0x3d) || (isBlank && at < bytes.length - 1)
    return isPlain ? String.fromCharCode(byte) : escaped(byte)
  })
}

function softly(tokens: readonly string[], lineEnd: string): string {
  let line = ''
  let lines = ''
  for (const token of tokens) {
    if (line.length + token.length >= longestLine) {
      lines += `${line}=${lineEnd}`
      line = ''
    }
    line += token
  }
  return lines + line
}

/** Decodes what comes in pieces; line ends of quoted text are told as `\n`. */
export interface TransferDecoder {
  push(bytes: Uint8Array): Uint8Array
  end(): Uint8Array
}

/** What is encoded in no way that there is, is taken as it is. */
export function transferDecoder(encoding: string): TransferDecoder {
  switch (encoding.trim().toLowerCase()) {
    case 'base64':
      return base64Decoder()
    case 'quoted-printable':
      return quotedDecoder()
    default:
      return { push: bytes => bytes, end: () => Buffer.alloc(0) }
  }
}

/** Characters that are not of the alphabet are skipped (RFC 2045 §6.8). */
function base64Decoder(): TransferDecoder {
  let rest = ''
  return {
    push(bytes) {
      const text =
        rest +
        asBuffer(bytes)
          .toString('latin1')
          .replace(/[^A-Za-z0-9+/]/g, '')
      const whole = text.length - (text.length % 4)
      rest = text.slice(whole)
      return Buffer.from(text.slice(0, whole), 'base64')
    },
    end: () => Buffer.from(rest, 'base64'),
  }
}

function quotedDecoder(): TransferDecoder {
  let rest = ''
  const decoded = (text: string) =>
    Buffer.from(
      text
        .replace(/\r\n/g, '\n')
        .replace(/=[ \t]*\n/g, '')
        .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    )
  return {
    push(bytes) {
      const text = rest + asBuffer(bytes).toString('latin1')
      // What may be half of an escape, of a soft line end or of a line end waits for the other half.
      const tail = /(?:=[0-9A-Fa-f]?|=[ \t]{0,100}\r?|\r)$/.exec(text)
      const whole = tail ? tail.index : text.length
      rest = text.slice(whole)
      return decoded(text.slice(0, whole))
    },
    end: () => decoded(rest === '=' ? '' : rest),
  }
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
