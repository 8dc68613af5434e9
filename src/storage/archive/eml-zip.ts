import type { ZipFormat } from '../../ports/zip-format.ts'
import type { StoredObject } from '../objects.ts'
import type { ArchiveLimits } from './archived.ts'
import type { ArchiveEvent } from './events.ts'
import { Lines } from './lines.ts'
import { fileDate } from './mail-date.ts'
import { MimeReader } from './mime-reader.ts'

/*
 * A ZIP archive of one `.eml` for each message, conversations and folders as directories.
 */

export const emlName = ({ container, date, id }: StoredObject): string => `${container}/${fileDate(date)}_${id}.eml`

/** What operating systems put beside files. */
const isClutter = (name: string): boolean => /(^|\/)(__MACOSX\/|\.DS_Store$|Thumbs\.db$|desktop\.ini$)/.test(name)
const folderOf = (name: string): string => name.split('/').slice(0, -1).join('/')

export async function* readEmlZip(
  zip: ZipFormat,
  bytes: AsyncIterable<Uint8Array>,
  { maxMessageBytes, maxBytes, maxMessages }: ArchiveLimits,
): AsyncGenerator<ArchiveEvent> {
  const events: ArchiveEvent[] = []
  let message: { readonly mime: MimeReader; readonly lines: Lines } | undefined
  const end = () => {
    message?.lines.end()
    message?.mime.end()
    message = undefined
  }
  for await (const event of zip.read(bytes, { maxEntryBytes: maxMessageBytes, maxBytes, maxEntries: maxMessages })) {
    switch (event.kind) {
      case 'entry': {
        end()
        const { name } = event
        if (isClutter(name)) break
        events.push({ kind: 'message', where: name, folder: folderOf(name) })
        if (!/\.eml$/i.test(name)) {
          events.push({ kind: 'refused', cause: 'unsupported', reason: 'It is no .eml file.' })
          break
        }
        const mime = new MimeReader(told => events.push(told))
        message = { mime, lines: new Lines(mime.line) }
        break
      }
      case 'bytes':
        message?.lines.push(event.bytes)
        message?.mime.flush()
        break
      case 'problem': {
        message?.mime.flush()
        message = undefined
        const { cause, reason } = event
        if (event.of === 'archive') events.push({ kind: 'stopped', cause, reason })
        else if (cause === 'damaged' || cause === 'unsupported' || cause === 'too-large') {
          events.push({ kind: 'refused', cause, reason })
        }
      }
    }
    yield* events.splice(0)
  }
  end()
  yield* events
}
