import type { Json, RegisterWrite } from '../document/documents.ts'
import type { OperatorId } from '../ports/names.ts'
import { isOwner, live, mayAdminister } from './authority.ts'
import { timed } from './establishment.ts'
import type { Pne } from './fields.ts'
import { type PnAdminParams, type PnAdminResult, pnAdmin } from './methods.ts'
import type { Decided } from './procedure.ts'
import { asValue, keys, pneKey } from './records.ts'
import { refusals } from './refusals.ts'
import type { NetworkView } from './view.ts'

/**
 * `pn.admin`: who administers a PN beside its owner. The owner assigns one where there is none; owner and administrator
 * hand it over or remove it. Decided by the home operator, in the home document; an operator vouches for an administrator
 * of its own. Whatever is decided settles the matter: nothing stays of others that were made administrators at the same time.
 */
export const administration = (self: OperatorId): Decided<PnAdminParams, PnAdminResult> => ({
  spec: pnAdmin,
  network: ({ home, pnId }) => ({ home, pnId }),
  isVouchedFor: true,

  executor({ home, pnId }, caller, found) {
    if (home === self) return home
    const name = { home, pnId }
    if (!mayAdminister(live(name, found), caller)) throw refusals.notTheOwner(name)
    return home
  },

  decide({ home, pnId, operation, pne, time }, caller, { view: found, own }) {
    const name = { home, pnId }
    const view = live(name, found)
    if (operation === 'assign' ? !isOwner(view, caller) : !mayAdminister(view, caller)) throw refusals.notTheOwner(name)

    const { administrators } = view
    const [present] = administrators
    const isPresent = present !== undefined && pneKey(present) === pneKey(pne)
    const isListed = administrators.some(other => pneKey(other) === pneKey(pne))
    if (operation === 'assign' && present && !isPresent) throw refusals.adminExists(present)

    const key = keys.admin(pne)
    const written = [...own.entries('admin/')].filter(([, { value }]) => value !== null).map(([held]) => held)
    const others = written.filter(held => held !== key)
    const isSo = operation === 'remove' ? !isListed : isPresent && administrators.length === 1
    const decided: RegisterWrite[] =
      operation === 'remove'
        ? [{ key, value: null }]
        : [{ key, value: recordOf(pne, view) }, ...others.map(held => ({ key: held, value: null }))]
    return {
      writes: isSo ? [] : decided.map(write => ({ ...write, ...timed(time) })),
      answer: after => ({ administrator: after().inventory.administrator }),
    }
  },
})

/** @throws {CommandRefused} 409 */
function recordOf(pne: Pne, view: NetworkView): Json {
  const [admission] = view.admissions.get(pneKey(pne)) ?? []
  if (!admission) throw refusals.notMember(pne)
  return asValue({ epoch: view.inventory.epoch, admission: admission.record.since })
}
