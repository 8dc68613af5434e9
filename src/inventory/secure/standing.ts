import type { Registers } from '../../document/documents.ts'
import { isMember } from '../authority.ts'
import type { Pne } from '../fields.ts'
import { asRegistration } from '../records/registrations.ts'
import { keys, pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { isEnded } from '../registration/registering.ts'
import type { NetworkView } from '../view.ts'
import { secureRefusals } from './refusals.ts'

/**
 * Passes a registration that holds now: confirmed, of a member, not ended, and the one that the view shows. Answers its end.
 * @throws {CommandRefused} 404 when this server does not know of it (yet), 409 when it was superseded or deregistered, has ended, or is not
 * confirmed.
 */
export function requireStanding(
  view: NetworkView,
  pne: Pne,
  transaction: string,
  /** The document of the PNE's operator. */
  own: Registers,
  now: number,
): { readonly expires: number } {
  const register = own.get(keys.registration(pne, transaction))
  if (register?.value === null) throw refusals.superseded()
  const record = asRegistration(register)
  if (!record) throw refusals.transactionUnknown()
  if (isEnded(own, pne, transaction)) throw refusals.deregistered()
  if (!isMember(view, pne)) throw refusals.notMember(pne)
  if (record.expires <= now) throw refusals.notConfirmed()
  if (record.state === 'pending') throw secureRefusals.notConfirmedYet()
  const shown = view.inventory.members.find(member => pneKey(member) === pneKey(pne))
  const isShown = shown?.state === 'active' && shown.since === record.stamp && shown.expires === record.expires
  if (!isShown) throw refusals.superseded()
  return { expires: record.expires }
}
