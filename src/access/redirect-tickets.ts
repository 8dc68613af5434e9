import { z } from 'zod'
import { toBase64url } from '../commands/framing.ts'
import { createSignedClaims } from '../commands/signed-claims.ts'
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

const idBytes = 12

const server = z.custom<ServerId>(value => typeof value === 'string' && isServerId(value))
const payload = z.strictObject({
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
  const claims = createSignedClaims({ operator, macKeys, crypto, purpose: 'cpns-ticket-redirect-v1', schema: payload })
  /** Ids that were taken here, with when they end: of those that have ended, nothing is left to be taken. */
  const taken = new Map<string, number>()

  /** The map keeps the order in which they were taken, and nearly that in which they end. */
  function forgetEnded(now: number): void {
    for (const [id, expires] of taken) {
      if (expires > now) return
      taken.delete(id)
    }
  }

  return {
    issue: (target, visited) =>
      claims.sign({
        target,
        id: toBase64url(random.bytes(idBytes)),
        visited: [...visited],
        expires: clock.now() + lifetimeMs,
      }),

    take(ticket) {
      const claimed = claims.open(ticket)
      const now = clock.now()
      if (claimed?.target !== self || claimed.expires <= now || taken.has(claimed.id)) return undefined
      forgetEnded(now)
      taken.set(claimed.id, claimed.expires)
      return claimed
    },
  }
}
