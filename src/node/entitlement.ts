import { type DocumentName, parseDocumentId } from '../document/names.ts'
import type { Entitlement } from '../federation/federation.ts'
import type { DocumentId } from '../ports/names.ts'

/* Which of the two domains answers for a document: message storage, or the inventory. */

/** Documents of message storage; all others are of Personal Networks. */
export const isOfStorage = (document: DocumentId): boolean => storageKinds.has(parseDocumentId(document).kind)
const storageKinds: ReadonlySet<DocumentName['kind']> = new Set(['mailbox', 'conversation', 'devices', 'directory'])

/** Entitlement to all documents, from that to those of each domain. */
export const byKind = (ofNetworks: Entitlement, ofStorage: Entitlement): Entitlement => ({
  mayHold: (document, operator) => (isOfStorage(document) ? ofStorage : ofNetworks).mayHold(document, operator),
  hasEnded: document => (isOfStorage(document) ? ofStorage : ofNetworks).hasEnded?.(document) === true,
  // Of message storage all is the home's own.
  vouched: document => (isOfStorage(document) ? undefined : ofNetworks.vouched?.(document)),
  vouchesFor: operator => ofNetworks.vouchesFor?.(operator) ?? [],
  subscribe(listener) {
    const ends = [ofNetworks.subscribe(listener), ofStorage.subscribe(listener)]
    return () => {
      for (const end of ends) end()
    }
  },
})
