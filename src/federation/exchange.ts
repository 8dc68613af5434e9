import { ownerOf, parseDocumentId } from '../document/names.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Entitlement } from './federation.ts'

/** What may pass between this operator's servers and those of one other. */
export interface Exchange {
  /** Whether a document that is held here may be offered and sent. */
  mayGive(document: DocumentId): boolean
  /** Whether entries of a document may be taken. */
  mayTake(document: DocumentId): boolean
}

/**
 * The rules of exchange. Servers of one operator hold the same documents. Between operators a document passes if both may
 * hold it, with one exception: a home document (`pn/…`) says itself who may hold it, so an operator that does not hold it
 * yet cannot know, and takes it from anyone it trusts. What it takes is signed by the owner, whom it trusts as well; and
 * who gives has asked the entitlement on his side.
 */
export function exchangeWith(peer: OperatorId, own: OperatorId, entitlement: Entitlement): Exchange {
  if (peer === own) return { mayGive: () => true, mayTake: () => true }
  const mayHold = (document: DocumentId, operator: OperatorId): boolean =>
    ownerOf(document) === operator || entitlement.mayHold(document, operator)
  return {
    mayGive: document => mayHold(document, peer) && mayHold(document, own),
    mayTake(document) {
      if (mayHold(document, own)) return mayHold(document, peer)
      return parseDocumentId(document).kind === 'pn'
    },
  }
}
