import { z } from 'zod'
import { fromBase64url, toBase64url, utf8 } from '../commands/framing.ts'
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

const longestTicket = 2_048
/** The key of a MAC is derived for this purpose alone, so that nothing else that an operator's servers sign is a ticket. */
const purpose = utf8('cpns-ticket-document-v1')

const payload = z.strictObject({
  /** Version of the MAC key. */
  key: z.int(),
  document: z.string(),
  identity: z.string(),
  expires: z.int(),
})

export function createTickets({ operator, macKeys, crypto, clock, lifetimeMs }: TicketsOptions): Tickets {
  const macOf = (macKey: Uint8Array, bytes: Uint8Array): Uint8Array =>
    crypto.hmacSha256(crypto.hkdfSha256(macKey, utf8(operator), purpose, 32), bytes)

  return {
    issue(document, { identity }) {
      const key = macKeys().at(-1)
      if (!key) throw new Error('The operator has no MAC key: its secrets are incomplete.')
      const expires = clock.now() + lifetimeMs
      const claims: z.infer<typeof payload> = { key: key.version, document, identity, expires }
      const bytes = utf8(JSON.stringify(claims))
      const ticket = `${toBase64url(bytes)}.${toBase64url(macOf(key.key, bytes))}`
      return { ticket, expires }
    },

    check(ticket, document) {
      const parts = parse(ticket)
      const key = parts && macKeys().find(({ version }) => version === parts.claims.key)
      if (!parts || !key || !crypto.equal(macOf(key.key, parts.bytes), parts.mac)) return undefined
      const { claims } = parts
      if (claims.document !== document || claims.expires <= clock.now()) return undefined
      return { document, principal: { operator, identity: claims.identity }, expires: claims.expires }
    },
  }
}

function parse(
  ticket: string,
): { readonly claims: z.infer<typeof payload>; readonly bytes: Uint8Array; readonly mac: Uint8Array } | undefined {
  const [body, mac, ...rest] = ticket.split('.')
  if (ticket.length > longestTicket || body === undefined || mac === undefined || rest.length > 0) return undefined
  const bytes = fromBase64url(body)
  const macBytes = fromBase64url(mac)
  if (!bytes || !macBytes) return undefined
  try {
    return { claims: payload.parse(JSON.parse(new TextDecoder().decode(bytes))), bytes, mac: macBytes }
  } catch {
    return undefined
  }
}
