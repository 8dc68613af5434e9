import type { OperatorId } from './names.ts'

declare const brand: unique symbol

/** SHA-256 of a blob's bytes, base64url without padding (43 characters): what it is called by. */
export type MediaHash = string & { readonly [brand]: 'MediaHash' }

/** The last character holds four bits of the hash; written in any other way it would be a second name of the same blob. */
const hashPattern = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

export const isMediaHash = (text: string): text is MediaHash => hashPattern.test(text)

/** Whose a blob is. Every mailbox holds its own: nobody learns from one what is in another. */
export interface Mailbox {
  readonly operator: OperatorId
  /** A segment of document ids. */
  readonly user: string
}

export interface MediaName extends Mailbox {
  readonly hash: MediaHash
}

/** What is known of a blob before its bytes are. */
export interface MediaFacts {
  /** Bytes. */
  readonly size: number
  /** Media type (RFC 9110 §8.3.1), as whoever sent it said. */
  readonly type: string
}

export interface MediaRecord extends MediaFacts {
  readonly hash: MediaHash
  /** When it was stored or last touched, milliseconds since 1970. */
  readonly storedMs: number
}

/** Bytes `from` (inclusive) to `to` (exclusive) of a blob. */
export interface MediaRange {
  readonly from: number
  readonly to: number
}

/**
 * A blob that is on its way in. Whoever asked for it holds it, until somebody else asks for the same one: the connection
 * on which the first was sent may be long dead without having said so.
 */
export interface MediaUpload {
  /** Bytes that are held. They stay over a cut, and over a restart as far as they had reached the disk. */
  readonly offset: number
  /** The blob was there when the upload was asked for. */
  readonly isStored: boolean
  /**
   * Takes bytes from `offset` on, as they come. Resolves with the new offset. When the source throws, what came before
   * is kept, and what it threw is thrown.
   * @throws {MediaTooLong} {@link UploadTakenOver} {@link MediaRefused}; what was taken before is kept.
   */
  append(bytes: AsyncIterable<Uint8Array>): Promise<number>
  /**
   * Resolves when the blob can be read and would survive a power cut; until then it cannot be read at all.
   * @throws {ChecksumMismatch} when the bytes are not those of the name: they are dropped. {@link UploadIncomplete} when some
   *   are missing. {@link UploadTakenOver} {@link MediaRefused}
   */
  finish(): Promise<void>
  /** Drops what is held. */
  discard(): Promise<void>
}

/**
 * Where blobs are kept: content-addressed, each in a mailbox, written and read as streams, never whole in memory.
 *
 * - A blob is there whole or not at all; a crash leaves nothing but parts of uploads, which can be resumed, and which
 *   `sweep` removes.
 * - What is read was verified: bytes that the disk has changed are never handed out, but told with {@link MediaCorrupt}.
 * - Reads of a blob that is being removed either succeed or tell {@link MediaGone}.
 * - `size` and `type` of a blob are what its first upload said.
 */
export interface MediaStore {
  /**
   * Begins an upload, or goes on with one, and takes it over from whoever holds it. Of a blob that is there already the
   * `offset` is its size, and `finish` resolves at once.
   * @throws {MediaRefused}
   */
  upload(name: MediaName, facts: MediaFacts): Promise<MediaUpload>
  /**
   * The bytes of a blob, or a range of them that lies within it.
   * @throws {MediaGone} {@link MediaCorrupt}
   */
  read(name: MediaName, range?: MediaRange): AsyncIterable<Uint8Array>
  /** `undefined` if there is no such blob. @throws {MediaCorrupt} when what is known of it was changed by the disk. */
  stat(name: MediaName): Promise<MediaRecord | undefined>
  /** Sets when it was stored to now. Returns whether it is there. */
  touch(name: MediaName): Promise<boolean>
  /** All blobs of a mailbox, in no order; those that the disk has changed are left out. */
  list(mailbox: Mailbox): AsyncIterable<MediaRecord>
  /** Bytes that a mailbox takes, uploads that are under way included. */
  usage(mailbox: Mailbox): Promise<number>
  /** Every mailbox that has had a blob and was not removed, in no order. */
  mailboxes(): AsyncIterable<Mailbox>
  /** Removes a blob from the disk. Nothing happens if it is not there. */
  remove(name: MediaName): Promise<void>
  /** Removes all blobs and uploads of a mailbox: at once for whoever reads, and from the disk when it resolves. */
  removeMailbox(mailbox: Mailbox): Promise<void>
  /** Removes uploads that nobody has appended to since that time (milliseconds since 1970). Returns how many. */
  sweep(beforeMs: number): Promise<number>
  /** Ends what is under way, then refuses. */
  close(): Promise<void>
}

/** Nothing was stored: no room, or the store is closed. The message says which, and what to do. */
export class MediaRefused extends Error {
  override readonly name = 'MediaRefused'
}

/** The bytes that came are not those that the hash names. */
export class ChecksumMismatch extends Error {
  override readonly name = 'ChecksumMismatch'
  constructor(hash: MediaHash) {
    super(
      `The bytes do not have the hash ${hash}: they were changed on their way, or another hash is theirs. Send them again.`,
    )
  }
}

/** More bytes came than were announced. */
export class MediaTooLong extends Error {
  override readonly name = 'MediaTooLong'
  constructor(size: number) {
    super(`More bytes came than the ${size} that were announced.`)
  }
}

/** An upload was to be finished before all of its bytes were there. */
export class UploadIncomplete extends Error {
  override readonly name = 'UploadIncomplete'
  constructor(offset: number, size: number) {
    super(`${offset} of ${size} bytes are here: send the rest first.`)
  }
}

/** Somebody else goes on with this upload. */
export class UploadTakenOver extends Error {
  override readonly name = 'UploadTakenOver'
  constructor() {
    super('This upload goes on elsewhere. Ask for its offset before sending more.')
  }
}

/** There is no such blob. */
export class MediaGone extends Error {
  override readonly name = 'MediaGone'
  constructor(hash: MediaHash) {
    super(`${hash} is not stored here.`)
  }
}

/** A stored blob does not match what was stored: the disk has changed it. */
export class MediaCorrupt extends Error {
  override readonly name = 'MediaCorrupt'
  constructor(hash: MediaHash, options?: ErrorOptions) {
    super(`${hash} was changed by the disk. Remove it, and fetch it from another server or a backup.`, options)
  }
}
