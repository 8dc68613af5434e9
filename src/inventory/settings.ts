import type { Json, RegisterWrite } from '../document/documents.ts'
import { isOwner, live } from './authority.ts'
import { timed } from './establishment.ts'
import { type PnChangeParams, type PnChangeResult, pnChange } from './methods.ts'
import type { Decided } from './procedure.ts'
import { keys } from './records.ts'
import { refusals } from './refusals.ts'

/**
 * `pn.change`: alias, lifetime and connection mode of a PN that lives. Each is a register of its own, so that two of them
 * changed at servers that do not reach each other are both changed. One that is already so is no change: it conflicts with
 * no version, and is written nowhere.
 *
 * Members stay when the mode changes. What a gateway of another operator admits without knowing of the change does not
 * count: the view leaves out whom gateways admitted later than it.
 */
export const change: Decided<PnChangeParams, PnChangeResult> = {
  spec: pnChange,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: ({ home }) => home,

  decide({ home, pnId, alias, lifetimeMs, connectionMode, expectedVersion, time }, caller, { view: found, now }) {
    const name = { home, pnId }
    const view = live(name, found)
    if (!isOwner(view, caller)) throw refusals.notTheOwner(name)
    const { epoch } = view.inventory
    const from = time === undefined ? now : Math.min(time, now)

    const writes: RegisterWrite[] = []
    const set = (key: string, value: { readonly [key: string]: Json }) =>
      writes.push({ key, value: { epoch, ...value }, ...timed(time) })
    if (alias !== undefined && alias !== view.inventory.alias) set(keys.setting('alias'), { value: alias })
    if (lifetimeMs !== undefined) {
      const expires = lifetimeMs === null ? null : from + lifetimeMs
      if (expires !== (view.inventory.expires ?? null)) set(keys.setting('expires'), { value: expires })
    }
    if (connectionMode !== undefined && connectionMode !== view.inventory.connectionMode) {
      const since = connectionMode === 'open' ? {} : { since: view.closedSince ?? from }
      set(keys.setting('connectionMode'), { value: connectionMode, ...since })
    }

    if (writes.length > 0 && expectedVersion !== undefined && expectedVersion !== view.inventory.version) {
      throw refusals.version(expectedVersion, view.inventory.version)
    }
    return {
      writes,
      answer: after => {
        const { inventory } = after()
        return { version: inventory.version, expires: inventory.expires }
      },
    }
  },
}
