import { toBase64url } from '../../commands/framing.ts'
import { ChecksumMismatch, isMediaHash, MediaTooLong, UploadIncomplete } from '../../ports/media-store.ts'
import type { Media } from '../objects.ts'
import { ArchiveDamaged, type ForeignContent } from './archived.ts'
import type { Importing } from './importing.ts'

/*
 * The bytes of media out of an archive, into the store.
 */

/** Of a part of a foreign message, whose name is known only when all of it has come: as much as is held in memory. */
const maxForeignBytes = 32 * 1_024 * 1_024

/** Stores a media whose name is known, as it comes. @throws {ArchiveDamaged} when its bytes are others */
export async function keepMedia(
  { media: store, name }: Pick<Importing, 'media' | 'name'>,
  { hash, size, type }: Media,
  bytes: AsyncIterable<Uint8Array>,
  where: string,
): Promise<void> {
  const altered = (reason: string) => new ArchiveDamaged({ cause: 'altered', where, reason })
  if (!isMediaHash(hash)) throw altered(`${hash} is not the hash of anything.`)
  if (!store) return
  const upload = await store.upload({ ...name, hash }, { size, type })
  if (upload.offset === size && (await store.stat({ ...name, hash }))) return
  try {
    await upload.append(skipping(upload.offset, bytes))
    await upload.finish()
  } catch (error) {
    const isAltered =
      error instanceof ChecksumMismatch || error instanceof UploadIncomplete || error instanceof MediaTooLong
    if (error instanceof ArchiveDamaged || isAltered) await upload.discard()
    throw isAltered ? altered(error.message) : error
  }
}

async function* skipping(offset: number, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let left = offset
  for await (const piece of bytes) {
    const skipped = Math.min(left, piece.length)
    left -= skipped
    if (skipped < piece.length) yield piece.subarray(skipped)
  }
}

/** Stores a part of a foreign message. `undefined` if it is too large, or nothing is stored here. */
export async function foreignMedia(
  options: Pick<Importing, 'media' | 'name' | 'crypto'>,
  { type, name, bytes }: Extract<ForeignContent, { kind: 'media' }>,
): Promise<Media | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of bytes) {
    size += piece.length
    if (size > maxForeignBytes || !options.media) return undefined
    pieces.push(Uint8Array.from(piece))
  }
  const hash = toBase64url(options.crypto.sha256(...pieces))
  const media = { hash, size, type, ...(name !== undefined && { name }) }
  await keepMedia(options, media, inOrder(pieces), name ?? type)
  return media
}

async function* inOrder(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
}
