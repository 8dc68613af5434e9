import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import { isOperatorId, type OperatorId } from '../../ports/names.ts'
import type { Pne } from '../fields.ts'
import { epoch, grantId, read, type Stamped, time } from './stamped.ts'

const operator = z.custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value))

/**
 * `roster/<operator>/<pneId>`, in the home document, and `admission/<operator>/<pneId>`, in the document of an operator with
 * the right `admit`.
 */
const admitted = z.object({
  epoch,
  grant: grantId.optional(),
  /** Who admitted it: that operator may take it back. */
  by: operator,
  /** When the PNE was admitted; stays when the admission is written again. */
  since: time,
  /**
   * Set when a gateway admitted on its own, as the non-member flow does: unless the PNE has registered by then, the
   * admission was never made. So no gateway that dies half way leaves a member behind.
   */
  pendingUntil: time.optional(),
})

export type Admission = z.infer<typeof admitted>

/**
 * `undone/<document>/<operator>/<pneId>/<stamp>`: the admission of a PNE that stands in the document of an operator is
 * undone, up to the stamp it had; in the home document. A register of its own for each, so that
 * two servers that remove a PNE at once, and see different admissions of it, undo them all.
 */
const undoneRecord = z.object({
  epoch,
  /** `since` of that admission: what was registered under it counts no more. */
  since: time,
})

export type UndoneRecord = z.infer<typeof undoneRecord>

/** An admission that was undone: in whose document it stands, and up to which stamp. */
export interface Undoing {
  readonly document: OperatorId
  readonly pne: Pne
  readonly upTo: number
  readonly record: Stamped<UndoneRecord>
}

export interface AdmissionSaid {
  readonly of: 'roster'
  readonly pne: Pne
  readonly record: Stamped<Admission>
}
export type UndoingSaid = { readonly of: 'undone' } & Undoing

/** The admission of a PNE; `undefined` when it does not parse, or its key names no PNE. */
export function admissionOf(pne: Pne | undefined, register: Register): AdmissionSaid | undefined {
  const record = read(admitted, register)
  return record && pne && { of: 'roster', pne, record }
}

/** That an admission was undone; `undefined` when it does not parse, or its key names no document, PNE or stamp. */
export function undoingOf(
  document: string,
  pne: Pne | undefined,
  stamp: string,
  register: Register,
): UndoingSaid | undefined {
  const record = read(undoneRecord, register)
  if (!record || !pne || !isOperatorId(document) || !/^\d{1,16}$/.test(stamp)) return undefined
  return { of: 'undone', document, pne, upTo: Number(stamp), record }
}

export const asAdmission = (register: Register | undefined): Stamped<Admission> | undefined =>
  register && read(admitted, register)
