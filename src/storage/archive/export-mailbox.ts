import type { ZipEntry, ZipFormat } from '../../ports/zip-format.ts'
import type { ArchivedObject, ArchiveFormat, ArchiveProgress } from './archived.ts'
import { emlName } from './eml-zip.ts'
import { writeMbox } from './mbox.ts'
import { writeMessage } from './write-message.ts'

export interface ExportOptions {
  readonly format: ArchiveFormat
  readonly zip: ZipFormat
  /** Called after each object. */
  readonly progress?: (progress: ArchiveProgress) => void
}

/** The archive of a mailbox, piece by piece. @throws whatever `source` throws, as a part of an archive is none */
export async function* exportMailbox(
  source: AsyncIterable<ArchivedObject>,
  { format, zip, progress }: ExportOptions,
): AsyncGenerator<Uint8Array> {
  let [objects, bytes] = [0, 0]
  const done = () => {
    objects += 1
    progress?.({ objects, bytes })
  }
  for await (const piece of format === 'mbox' ? asMbox(source, done) : zip.write(asEntries(source, done))) {
    bytes += piece.length
    yield piece
  }
}

async function* asMbox(source: AsyncIterable<ArchivedObject>, done: () => void): AsyncGenerator<Uint8Array> {
  for await (const archived of source) {
    yield* writeMbox(archived.object, writeMessage(archived, '\n'))
    done()
  }
}

async function* asEntries(source: AsyncIterable<ArchivedObject>, done: () => void): AsyncGenerator<ZipEntry> {
  for await (const archived of source) {
    const { object } = archived
    yield { name: emlName(object), modified: object.date, bytes: writeMessage(archived, '\r\n') }
    done()
  }
}
