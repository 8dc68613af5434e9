import type { OperatorId } from '../ports/names.ts'
import { isOwner, live } from './authority.ts'
import { timed } from './establishment.ts'
import { type PnGrantParams, type PnGrantResult, pnGrant } from './methods.ts'
import type { Decided } from './procedure.ts'
import { asValue, keys } from './records.ts'
import { refusals } from './refusals.ts'

/**
 * `pn.grant`: what another operator may do in a PN, and until when. The home operator says so once; from then on nobody
 * needs it online. A grant that is given again to the same root keys keeps its id, and with it what was done under it; one
 * that was revoked in between, or goes to other keys, starts anew. A revocation stands, also against who gave the same grant
 * for longer without knowing of it.
 */
export const granting = (
  /** Of the operator's root keys, if this server knows them. */
  fingerprintOf: (operator: OperatorId) => string | undefined,
  maxGrants: number,
): Decided<PnGrantParams, PnGrantResult> => ({
  spec: pnGrant,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: ({ home }) => home,

  decide({ home, pnId, operator, fingerprint, rights, expires, commandId, time }, caller, state) {
    const name = { home, pnId }
    const view = live(name, state.view)
    if (!isOwner(view, caller)) throw refusals.notTheOwner(name)
    if (operator === home) throw refusals.malformed(`${home} is the home of ${pnId}; it needs no grant.`)
    const known = fingerprintOf(operator)
    if (known !== undefined && known !== fingerprint) throw refusals.fingerprint(operator)
    if (rights.length > 0 && expires <= state.now) throw refusals.malformed('The grant would have ended already.')

    const key = keys.grant(operator)
    const present = view.given.get(operator)
    const version = (after: () => typeof view) => ({ version: after().inventory.version })
    if (rights.length === 0) {
      if (!present) return { writes: [], answer: version }
      const revoked = { key: keys.revoked(operator, present.id), value: asValue({ epoch: view.inventory.epoch }) }
      return { writes: [{ key, value: null }, revoked].map(write => ({ ...write, ...timed(time) })), answer: version }
    }

    if (!present && view.given.size >= maxGrants) throw refusals.tooMany('grants', maxGrants)
    const id = present?.fingerprint === fingerprint ? present.id : commandId
    const grant = { epoch: view.inventory.epoch, id, fingerprint, rights: [...new Set(rights)].sort(), expires }
    const isSo = present?.id === id && present.expires === expires && `${present.rights}` === `${grant.rights}`
    return { writes: isSo ? [] : [{ key, value: asValue(grant), ...timed(time) }], answer: version }
  },
})
