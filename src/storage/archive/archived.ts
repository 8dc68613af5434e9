import type { Media, StoredObject } from '../objects.ts'

/*
 * What goes into an archive and comes out of it. Archives are read and written in one pass: whatever follows an object in
 * the stream, such as the bytes of its media, is taken before the next object is asked for, in the order in which it comes.
 */

/** `mbox`: one file, mboxrd, line ends LF; `zip`: a file `<container>/<object>.eml` for each object, line ends CRLF. */
export type ArchiveFormat = 'mbox' | 'zip'

/** A media of an object with its bytes, unless they were not to be had when the archive was written. */
export interface ArchivedMedia {
  readonly media: Media
  readonly bytes?: AsyncIterable<Uint8Array>
}

/** A stored object, with the bytes of its media in the order in which it names them. */
export interface ArchivedObject {
  readonly object: StoredObject
  /** The name of the user folder that it lies in; of a conversation there is none but its id. */
  readonly folder?: string
  readonly media: AsyncIterable<ArchivedMedia>
}

/** A message that another program wrote: what can be told of it as an object, before its content. */
export interface ForeignMessage {
  /** The folder of the archive that it lies in, `/` between names; empty: none. */
  readonly folder: string
  readonly head: ForeignHead
  readonly content: AsyncIterable<ForeignContent>
}
export type ForeignHead = Omit<
  StoredObject,
  'container' | 'part' | 'id' | 'size' | 'stored' | 'text' | 'media' | 'link' | 'session' | 'groupState' | 'copyOf'
>
/** The text of a message comes first, if it has any that an object can hold. */
export type ForeignContent =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'media'
      readonly type: string
      readonly name?: string
      readonly bytes: AsyncIterable<Uint8Array>
    }

export type ProblemCause =
  /** Of the whole archive: it is not of this format, or cannot be read on. What comes after was not read. */
  | 'not-an-archive'
  | 'damaged'
  /** Of one message, which is left out. */
  | 'malformed'
  | 'altered'
  | 'truncated'
  | 'too-large'
  | 'unsupported'
  /** Of one message, which is there without something that it had. */
  | 'left-out'

/** What could not be read, where it lies, and why. */
export interface ArchiveProblem {
  readonly cause: ProblemCause
  /** The file in the zip, or `message 3`, counted from 1. */
  readonly where: string
  readonly reason: string
}

/** What an archive gives, in its order. */
export type Imported =
  | { readonly kind: 'object'; readonly where: string; readonly archived: ArchivedObject }
  | { readonly kind: 'foreign'; readonly where: string; readonly message: ForeignMessage }
  | { readonly kind: 'problem'; readonly problem: ArchiveProblem }

/** Thrown by the bytes of a media, and by what follows them, when the rest of the message cannot be had. */
export class ArchiveDamaged extends Error {
  override readonly name = 'ArchiveDamaged'
  readonly problem: ArchiveProblem
  constructor(problem: ArchiveProblem) {
    super(`${problem.where}: ${problem.reason}`)
    this.problem = problem
  }
}

/** How far an export or import has come. */
export interface ArchiveProgress {
  /** Objects and messages so far. */
  readonly objects: number
  /** Bytes of the archive so far. */
  readonly bytes: number
}

/** What an archive may ask of who reads it; what is beyond is a problem, not read on. */
export interface ArchiveLimits {
  /** Of one message, with its media, encoded. */
  readonly maxMessageBytes: number
  /** Of all of them, unpacked: what a zip may come to, however small it is. */
  readonly maxBytes: number
  readonly maxMessages: number
}
