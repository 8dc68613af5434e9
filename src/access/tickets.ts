import { z } from 'zod'
import { createSignedClaims } from '../commands/signed-claims.ts'
import type { Principal } from '../federation/command.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'

export interface TicketsOptions {
  readonly operator: OperatorId
  /** Now: keys are added while the node runs. */
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly crypto: Crypto
  readonly clock: Clock
  readonly lifetimeMs: number
}

export interface Ticket {
  readonly document: DocumentId
  readonly principal: Principal
  /** Milliseconds since 1970. */
  readonly expires: number
}

/**
 * Tickets to read one document, for clients that can only put something into a URL. They are good at every server of
 * the operator, as often as one likes, until they expire; whether their bearer may still read is asked each time.
 */
export interface Tickets {
  issue(document: DocumentId, principal: Principal): { readonly ticket: string; readonly expires: number }
  /** `undefined` for a ticket that is none, has expired, or is for another document. */
  check(ticket: string, document: DocumentId): Ticket | undefined
}

const payload = z.strictObject({ document: z.string(), identity: z.string(), expires: z.int() })

export function createTickets({ operator, macKeys, crypto, clock, lifetimeMs }: TicketsOptions): Tickets {
  const claims = createSignedClaims({ operator, macKeys, crypto, purpose: 'cpns-ticket-document-v1', schema: payload })

  return {
    issue(document, { identity }) {
      const expires = clock.now() + lifetimeMs
      return { ticket: claims.sign({ document, identity, expires }), expires }
    },

    check(ticket, document) {
      const claimed = claims.open(ticket)
      if (claimed?.document !== document || claimed.expires <= clock.now()) return undefined
      return { document, principal: { operator, identity: claimed.identity }, expires: claimed.expires }
    },
  }
}
