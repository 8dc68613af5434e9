import type { Media, StoredObject } from '../objects.ts'
import type { ArchivedMedia, ArchivedObject } from './archived.ts'
import { headerFileName } from './header-values.ts'
import { detailsOf, ownHeaders, partHeader } from './own-headers.ts'
import { base64Lines, quotedPrintable } from './transfer-encoding.ts'

/*
 * A stored object as a message: its text, if it has one, as any mail program shows it; what no header can hold as JSON; its
 * media as attachments, piece by piece. Bodies are quoted-printable or Base64, so no line of them is a boundary, is longer
 * than 76 characters, or is changed on the way.
 */

const encode = (text: string): Uint8Array => Buffer.from(text, 'utf8')

export async function* writeMessage(archived: ArchivedObject, lineEnd: '\n' | '\r\n'): AsyncGenerator<Uint8Array> {
  const { object, folder } = archived
  const head = (lines: readonly string[]) => lines.map(line => line + lineEnd).join('') + lineEnd
  const own = [...ownHeaders(object, folder, lineEnd), 'MIME-Version: 1.0']
  const details = detailsOf(object)
  if (!details) {
    yield encode(head([...own, ...textHeaders(object)]) + textBody(object.text ?? '', lineEnd))
    return
  }
  // Neither encoding has a line that begins so.
  const boundary = `=_cpns_${object.id}`
  const next = `${lineEnd}--${boundary}${lineEnd}`
  yield encode(head([...own, `Content-Type: multipart/mixed; boundary="${boundary}"`]))
  if (object.text !== undefined) yield encode(next + head(textHeaders(object)) + textBody(object.text, lineEnd))
  yield encode(next + head(detailsHeaders) + quotedPrintable(JSON.stringify(details, null, 1), lineEnd))
  for await (const one of archived.media) {
    yield encode(next + head(mediaHeaders(one)))
    if (one.bytes) yield* base64Lines(one.bytes, lineEnd)
  }
  yield encode(`${lineEnd}--${boundary}--${lineEnd}`)
}

function textHeaders({ text, contentType }: StoredObject): string[] {
  const type = contentType.startsWith('text/') ? contentType : 'text/plain'
  return [
    `Content-Type: ${type}; charset=utf-8`,
    `Content-Transfer-Encoding: ${isQuoted(text ?? '') ? 'quoted-printable' : 'base64'}`,
    `${partHeader}: ${text === undefined ? 'none' : 'text'}`,
  ]
}

/** A line end of another kind would come back as one of the archive's. */
const isQuoted = (text: string): boolean => !text.includes('\r')

const textBody = (text: string, lineEnd: string): string =>
  isQuoted(text)
    ? quotedPrintable(text, lineEnd)
    : Buffer.from(text, 'utf8')
        .toString('base64')
        .replace(/.{1,76}/g, `$&${lineEnd}`)

const detailsHeaders: readonly string[] = [
  'Content-Type: application/json; charset=utf-8',
  'Content-Disposition: attachment; filename="cpns-object.json"',
  'Content-Transfer-Encoding: quoted-printable',
  `${partHeader}: details`,
]

function mediaHeaders({ media, bytes }: ArchivedMedia): string[] {
  return [
    `Content-Type: ${leafType(media)}`,
    `Content-Disposition: attachment${media.name === undefined ? '' : `; ${headerFileName(media.name)}`}`,
    'Content-Transfer-Encoding: base64',
    `${partHeader}: ${bytes ? 'media' : 'absent'}`,
  ]
}

/** What has parts of its own may not be Base64 (RFC 2045 §6.4). */
const leafType = ({ type }: Media): string => (/^(multipart|message)\//.test(type) ? 'application/octet-stream' : type)
