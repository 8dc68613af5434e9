import { ownerOf, parseDocumentId } from '../document/names.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Authors } from './authors.ts'
import { faultOf } from './conduct.ts'

/** What a session with one peer asks about the authors of what passes there. */
export interface Authorities {
  /**
   * The number of the newest manifest known of the document's owner, 0 for none: the peer is to be asked for those after it.
   * `undefined`: it need not, or cannot, be asked.
   */
  knownOf(document: DocumentId): number | undefined
  /** The owner's manifests after that number, for a peer that wants them. */
  path(document: DocumentId, after: number): readonly Uint8Array[]
  /** Takes manifests of the owner that the peer was asked for. Returns what its conduct is charged with. */
  take(document: DocumentId, manifests: readonly Uint8Array[]): Promise<number>
  /** Whether the owner's manifests may say by now who wrote what has just been refused, and the peer can be asked for them. */
  isToBeAsked(document: DocumentId): boolean
  /** What the peer's conduct is charged with for so many entries in one frame whose servers nobody here knows as the owner's. */
  faultOfStrangers(document: DocumentId, count: number): number
}

/** One frame of entries by servers that the vouched manifests do not name: an honest peer may have heard of a newer one first. */
const faultOfStrangeFrame = 1

export function authoritiesWith(options: {
  readonly peer: ServerId
  readonly peerOperator: OperatorId
  readonly own: OperatorId
  readonly authors: Pick<Authors, 'knownOf' | 'path' | 'take'>
}): Authorities {
  const { peer, peerOperator, own, authors } = options
  /** Whether the peer knows better than this server who writes the document, or should. */
  function answersFor(document: DocumentId): boolean {
    const name = parseDocumentId(document)
    return name.kind !== 'visit' || name.owner === peerOperator || name.home === peerOperator
  }
  return {
    knownOf: document => authors.knownOf(document),
    path: (document, after) => (ownerOf(document) === own ? [] : authors.path(ownerOf(document), document, after)),
    take: (document, manifests) => authors.take(document, manifests, peer),
    isToBeAsked: document => authors.knownOf(document) !== undefined,
    faultOfStrangers(document, count) {
      const known = authors.knownOf(document)
      if (known === 0 || !answersFor(document)) return 0
      return known === undefined ? count * faultOf('not-the-owner') : faultOfStrangeFrame
    },
  }
}
