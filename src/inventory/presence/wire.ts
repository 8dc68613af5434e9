import { z } from 'zod'
import { operator, segment, time } from '../../commands/fields.ts'
import { network } from '../fields.ts'
import type { Entry } from './entries.ts'
import type { PresenceLimits } from './limits.ts'
import { activity } from './methods.ts'

/*
 * What servers say to each other of presence, as forwarded commands that no client can give:
 *
 * - `server.watchPresence`: "tell me of these networks"; the answer is what the other's clients said after the revision
 *   that is known, and from then on it tells changes, for as long as the lease goes.
 * - `server.presence`: such changes, each from one revision up to another; the answer names what nobody watches any more.
 */

export const watchMethod = 'server.watchPresence'
export const pushMethod = 'server.presence'

const revision = z.int().min(0)
const entry: z.ZodType<Entry> = z.strictObject({
  of: z.enum(['pne', 'gateway']),
  operator,
  id: segment,
  isReachable: z.boolean(),
  state: activity,
  lastSeen: time,
})

export function presenceWire(limits: Pick<PresenceLimits, 'maxNetworksPerRequest' | 'maxEntriesPerRequest'>) {
  const many = <T>(item: z.ZodType<T>) => z.array(item).max(limits.maxNetworksPerRequest)
  const told = z.strictObject({
    ...network,
    since: revision,
    revision,
    entries: z.array(entry).max(limits.maxEntriesPerRequest),
  })
  return {
    watch: z.strictObject({ networks: many(z.strictObject({ ...network, known: revision })) }),
    /** Networks that are not named are not told of: there is no grant, as far as the other knows. */
    watched: z.strictObject({ leaseMs: z.int().positive(), networks: many(told) }),
    push: z.strictObject({ networks: many(told) }),
    pushed: z.strictObject({ unwatched: many(z.strictObject(network)) }),
  }
}
export type PresenceWire = ReturnType<typeof presenceWire>
export type Told = z.infer<PresenceWire['push']>['networks'][number]
