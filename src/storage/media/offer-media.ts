import type { SignedClaimsOptions } from '../../commands/signed-claims.ts'
import type { Documents } from '../../document/documents.ts'
import type { Entitlement, Federation, MediaSource } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { MediaName, MediaStore } from '../../ports/media-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Admit } from '../create-storage.ts'
import type { Procedure } from '../dispatch.ts'
import { mediaTicket } from '../methods/media.ts'
import { mailboxDocument } from '../names.ts'
import type { StoragePolicy } from '../policy.ts'
import { grantsOf } from '../records.ts'
import { createFetching } from './fetching.ts'
import { createKeeping, type Keeping } from './keeping.ts'
import { createMedia, type Media } from './media.ts'
import { createReferences } from './references.ts'
import { createMediaTickets, type MediaTicket } from './ticket.ts'

/*
 * Media of mailboxes at one server: how clients send and get them, how servers get them from each other, and how long they stay.
 */

export interface OfferedMedia {
  readonly media: Media
  readonly keeping: Keeping
  /** What peers are given. */
  readonly give: MediaSource
}

export function offerMedia(
  offer: <Params, Result>(procedure: Procedure<Params, Result>) => void,
  options: Pick<SignedClaimsOptions<MediaTicket>, 'crypto' | 'macKeys'> & {
    readonly self: OperatorId
    readonly store: MediaStore
    readonly documents: Documents
    readonly federation: () => Federation
    readonly mayHold: Entitlement['mayHold']
    readonly admit: Admit
    readonly clock: Clock
    readonly telemetry: Telemetry
    readonly policy: StoragePolicy
  },
): OfferedMedia {
  const { self, store, documents, federation, mayHold, admit, clock, telemetry, policy } = options
  const references = createReferences(documents)
  const { mediaGraceMs: graceMs } = policy
  const maxBytes = () => policy.maxMediaBytes
  const keeping = createKeeping({ self, store, documents, references, graceMs, clock, telemetry })
  const tickets = createMediaTickets({ operator: self, macKeys: options.macKeys, crypto: options.crypto })

  /** The own operator, the mailbox's, and those that it was granted to. */
  async function holders(name: MediaName): Promise<OperatorId[]> {
    const mailbox = await documents.read(mailboxDocument(name))
    const granted = [...grantsOf(mailbox)].filter(({ expires }) => expires > clock.now())
    return [...new Set([self, name.operator, ...granted.map(({ operator }) => operator)])]
  }

  const fetching = createFetching({ store, federation, holders, stored: keeping.stored, maxBytes, telemetry })
  const media = createMedia({
    ...{ self, store, tickets, admit, references, keeping, fetching, clock, telemetry, policy },
  })
  offer({ spec: mediaTicket, kind: 'read', execute: media.ticket })

  /**
   * A mailbox's operator has all of its media: those too that a client has sent elsewhere, and is about to refer to. Others have what
   * the documents refer to that they may hold.
   */
  const give: MediaSource = async (name, { operator }) => {
    const document = mailboxDocument(name)
    if (!mayHold(document, operator) || !mayHold(document, self)) return undefined
    const isTheirs = operator === self || operator === name.operator
    const found = await store.stat(name)
    if (!found || !(isTheirs || (await references.refers(name, name.hash)))) return undefined
    const { size, type } = found
    return { size, type, bytes: from => store.read(name, { from, to: size }) }
  }

  return { media, keeping, give }
}
