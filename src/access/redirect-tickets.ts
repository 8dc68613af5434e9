import { z } from 'zod'
import { fromBase64url, toBase64url, utf8 } from '../commands/framing.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import { isServerId, type OperatorId, type ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'

/*
 * Tickets that a server gives a client which it sends on to another server of its operator. They are good at that server,
 * once, for a short while; they say how often and by whom the client was sent on, so that it never comes round in a loop.
 * They prove nothing about the client, who authenticates there as everybody does.
 *
 * A MAC under the operator's key, not a signature: the target checks it before it has decided whether to do any public-key
 * cryptography for this client at all.
 */

export interface Redirection {
  readonly target: ServerId
  readonly id: string
  /** Servers that have sent the client on, in their order. */
  readonly visited: readonly ServerId[]
  /** Milliseconds since 1970. */
  readonly expires: number
}

export interface RedirectTickets {
  issue(target: ServerId, visited: readonly ServerId[]): string
  /**
   * At the target: `undefined` for a ticket that is none of this operator's, is for another server, has expired, or was
   * taken before.
   */
  take(ticket: string): Redirection | undefined
}

const longestTicket = 2_048
const purpose = utf8('cpns-ticket-redirect-v1')
const idBytes = 12

const server = z.custom<ServerId>(value => typeof value === 'string' && isServerId(value))
const payload = z.strictObject({
  /** Version of the MAC key. */
  key: z.int(),
  target: server,
  id: z.string().min(1).max(64),
  visited: z.array(server).max(16),
  expires: z.int(),
})

export function createRedirectTickets(options: {
  readonly operator: OperatorId
  readonly self: ServerId
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly crypto: Crypto
  readonly random: Random
  readonly clock: Pick<Clock, 'now'>
  readonly lifetimeMs: number
}): RedirectTickets {
  const { operator, self, macKeys, crypto, random, clock, lifetimeMs } = options
  const derived = new Map<number, Uint8Array>()
  /** Ids that were taken here, with when they end: of those that have ended, nothing is left to be taken. */
  const taken = new Map<string, number>()

  function macOf(version: number, macKey: Uint8Array, body: string): Uint8Array {
    const key = derived.get(version) ?? crypto.hkdfSha256(macKey, utf8(operator), purpose, 32)
    derived.set(version, key)
    return crypto.hmacSha256(key, utf8(body))
  }

  /** The map keeps the order in which they were taken, and nearly that in which they end. */
  function forgetEnded(now: number): void {
    for (const [id, expires] of taken) {
      if (expires > now) return
      taken.delete(id)
    }
  }

  return {
    issue(target, visited) {
      const found = macKeys().at(-1)
      if (!found) throw new Error('The operator has no MAC key: its secrets are incomplete.')
      const claims: z.infer<typeof payload> = {
        key: found.version,
        target,
        id: toBase64url(random.bytes(idBytes)),
        visited: [...visited],
        expires: clock.now() + lifetimeMs,
      }
      const body = toBase64url(utf8(JSON.stringify(claims)))
      return `${body}.${toBase64url(macOf(found.version, found.key, body))}`
    },

    take(ticket) {
      const [body, mac, ...rest] = ticket.split('.')
      if (ticket.length > longestTicket || body === undefined || mac === undefined || rest.length > 0) return undefined
      const claims = claimsOf(body)
      const found = claims && macKeys().find(({ version }) => version === claims.key)
      if (!claims || !found) return undefined
      const isOurs = crypto.equal(macOf(found.version, found.key, body), fromBase64url(mac) ?? new Uint8Array(0))
      const now = clock.now()
      if (!isOurs || claims.target !== self || claims.expires <= now || taken.has(claims.id)) return undefined
      forgetEnded(now)
      taken.set(claims.id, claims.expires)
      const { target, id, visited, expires } = claims
      return { target, id, visited, expires }
    },
  }
}

function claimsOf(body: string): z.infer<typeof payload> | undefined {
  const bytes = fromBase64url(body)
  if (!bytes) return undefined
  try {
    return payload.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}
