import { z } from 'zod'
import { operator, segment } from '../../commands/fields.ts'
import { createSignedClaims, type SignedClaims, type SignedClaimsOptions } from '../../commands/signed-claims.ts'
import { isMediaHash, type MediaHash } from '../../ports/media-store.ts'

const hash = z.custom<MediaHash>(value => typeof value === 'string' && isMediaHash(value))
const common = { operator, user: segment, identity: z.string(), expires: z.int() }

/** What a ticket allows, for whom and until when; whether that still holds is asked each time. */
const ticketClaims = z.discriminatedUnion('direction', [
  z.strictObject({ ...common, direction: z.literal('up'), hash, size: z.int().min(0), type: z.string() }),
  z.strictObject({ ...common, direction: z.literal('down'), hash: hash.optional() }),
])
export type MediaTicket = z.infer<typeof ticketClaims>

/** Good at every server of the operator. */
export const createMediaTickets = (
  options: Pick<SignedClaimsOptions<MediaTicket>, 'operator' | 'macKeys' | 'crypto'>,
): SignedClaims<MediaTicket> =>
  createSignedClaims({ ...options, purpose: 'cpns-ticket-media-v1', schema: ticketClaims })
