import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import { isSegment } from '../../document/names.ts'
import { capabilities, lifetime, mode, type Pne, services } from '../fields.ts'
import { epoch, grantId, read, type Stamped, time } from './stamped.ts'

/** `registration/<operator>/<pneId>/<transaction>`, in the document of the PNE's own operator. */
const registrationRecord = z.object({
  epoch,
  grant: grantId.optional(),
  /** `since` of the admission it was made under: what was registered before a removal does not count after it. */
  admission: time,
  state: z.enum(['pending', 'active']),
  cpnsId: z.string().min(1).max(320),
  gatewayId: z.string().refine(isSegment),
  mode,
  capabilities,
  /** Chargeable services that are open as long as the registration counts. */
  services: services.optional(),
  /** How long it holds from its confirmation on. Absent: as long as the operator lets one hold. */
  lifetimeMs: lifetime.optional(),
  expires: time,
  /** Of who proved itself by a certificate: which, to ask at each refresh whether it still holds. */
  certified: z.object({ by: z.array(z.string().min(1).max(128)).max(8), until: time }).optional(),
  /** When it was confirmed; absent until then. */
  since: time.optional(),
  /**
   * SHA-256 of the proof that confirms it, base64url: by it every server of the operator knows the proof when it comes,
   * and nobody learns anything of the session key.
   */
  confirmation: z.string().length(43),
})

export type RegistrationRecord = z.infer<typeof registrationRecord>

/**
 * `ended/<operator>/<pneId>/<transaction>`, beside the registration: its PNE has ended it. A key of its own, so that nothing
 * that is said of the registration elsewhere, or was said before, brings it back.
 */
const endedRecord = z.object({
  epoch,
  /** By then nothing of the registration can count any more, wherever it is written: this may go. */
  until: time,
})

export type EndedRecord = z.infer<typeof endedRecord>

export interface StampedRegistration {
  readonly pne: Pne
  readonly transaction: string
  readonly record: Stamped<RegistrationRecord>
  /** Its PNE has ended it. */
  readonly isEnded?: true
}

export interface StampedEnd {
  readonly pne: Pne
  readonly transaction: string
  readonly record: Stamped<EndedRecord>
}

export type RegistrationSaid = { readonly of: 'registration' } & StampedRegistration
export type EndSaid = { readonly of: 'ended' } & StampedEnd

const transactionPattern = /^[A-Za-z0-9_-]{16,64}$/

/** A registration of a PNE; `undefined` when it does not parse, or its key names no PNE or no transaction. */
export function registrationOf(
  pne: Pne | undefined,
  transaction: string,
  register: Register,
): RegistrationSaid | undefined {
  const record = asRegistration(register)
  if (!record || !pne || !transactionPattern.test(transaction)) return undefined
  return { of: 'registration', pne, transaction, record }
}

/** The end of a registration; `undefined` as {@link registrationOf}. */
export function endOf(pne: Pne | undefined, transaction: string, register: Register): EndSaid | undefined {
  const record = read(endedRecord, register)
  if (!record || !pne || !transactionPattern.test(transaction)) return undefined
  return { of: 'ended', pne, transaction, record }
}

/** What one register says, for who writes it next. */
export function asRegistration(register: Register | undefined): Stamped<RegistrationRecord> | undefined {
  if (!register) return undefined
  const known = registrations.get(register)
  if (known) return known.record
  const record = read(registrationRecord, register)
  registrations.set(register, { record })
  return record
}

/** A register never changes, and a registration is looked at in each of its steps. */
const registrations = new WeakMap<Register, { readonly record: Stamped<RegistrationRecord> | undefined }>()
