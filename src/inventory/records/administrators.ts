import { z } from 'zod'
import type { Register } from '../../document/documents.ts'
import type { Pne } from '../fields.ts'
import { epoch, read, type Stamped, time } from './stamped.ts'

/** `admin/<operator>/<pneId>`, in the home document. Who lost to a later one stays to be seen until somebody decides. */
const adminRecord = z.object({
  epoch,
  /** `since` of the admission it was made under, as a registration has it. */
  admission: time,
})

export type AdminRecord = z.infer<typeof adminRecord>

export interface AdministratorSaid {
  readonly of: 'admin'
  readonly pne: Pne
  readonly record: Stamped<AdminRecord>
}

/** That a PNE was made administrator; `undefined` when it does not parse, or the key names no PNE. */
export function administratorOf(pne: Pne | undefined, register: Register): AdministratorSaid | undefined {
  const record = read(adminRecord, register)
  return record && pne && { of: 'admin', pne, record }
}
