import { ownerOf, parseDocumentId } from '../document/names.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Entitlement } from './federation.ts'

/** What may pass between this operator's servers and those of one other. */
export interface Exchange {
  /** Whether a document that is held here may be offered and sent. */
  mayGive(document: DocumentId): boolean
  /** Whether entries of a document may be taken. */
  mayTake(document: DocumentId): boolean
  /** Whether the other takes a document that it may hold even if it knows nothing yet of who may. */
  isTaken(document: DocumentId): boolean
}

/**
 * The rules of exchange. Servers of one operator hold the same documents, once all of them know which of others' they may not hold any more. Between operators a document passes if both may
 * hold it, but for two cases. An owner that has lost its disks, or was set back to an old backup, takes its own documents back
 * from whoever has them: also from those who may not hold them any more, or what was revoked would be granted again. And the
 * documents that say themselves who may hold them (`pn/…`, `mailbox/…`) have to be seen first. What is taken is signed by the owner all the same.
 * Of the documents of an operator in quarantine nothing is taken from anybody: what is here stays as it is, and may be given on.
 */
export function exchangeWith(
  peer: OperatorId,
  own: OperatorId,
  entitlement: Entitlement,
  isQuarantined: (owner: OperatorId) => boolean = () => false,
): Exchange {
  const isKept = (document: DocumentId): boolean => isQuarantined(ownerOf(document))
  if (peer === own) {
    const mayTake = (document: DocumentId) => !isKept(document) && entitlement.hasEnded?.(document) !== true
    return { mayGive: () => true, mayTake, isTaken: () => true }
  }
  const mayHold = (document: DocumentId, operator: OperatorId): boolean =>
    ownerOf(document) === operator || entitlement.mayHold(document, operator)
  return {
    mayGive: document => ownerOf(document) === peer || (mayHold(document, peer) && mayHold(document, own)),
    mayTake(document) {
      if (ownerOf(document) === own) return true
      if (isKept(document)) return false
      return mayHold(document, own) ? mayHold(document, peer) : saysWhoMayHold(document)
    },
    isTaken: document => ownerOf(document) === peer || saysWhoMayHold(document),
  }
}

function saysWhoMayHold(document: DocumentId): boolean {
  const { kind } = parseDocumentId(document)
  return kind === 'pn' || kind === 'mailbox'
}
