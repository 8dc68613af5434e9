import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import { isSegment } from '../../document/names.ts'
import { epoch, grantId, read, type Stamped, time } from './stamped.ts'

/** `claim/<gatewayId>`, in the document of the gateway's operator: from now on this is the active gateway. */
const claimRecord = z.object({
  epoch,
  grant: grantId.optional(),
  /** Later than every claim that was known where it was made, whatever the clocks say: the latest counts. */
  since: time,
  /** The latest claim that was known then, 0 without one: later ones were made without knowing of this one. */
  after: time,
})

export type ClaimRecord = z.infer<typeof claimRecord>

export interface ClaimSaid {
  readonly of: 'claim'
  readonly gatewayId: string
  readonly record: Stamped<ClaimRecord>
}

/** The claim of a gateway; `undefined` when it does not parse, or the gateway's name is none. */
export function claimOf(gatewayId: string, register: Register): ClaimSaid | undefined {
  const record = read(claimRecord, register)
  return record && isSegment(gatewayId) ? { of: 'claim', gatewayId, record } : undefined
}
