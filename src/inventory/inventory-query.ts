import type { OperatorId } from '../ports/names.ts'
import { mayReadNetwork } from './authority.ts'
import { type Inventory, type PnInventoryParams, pnInventory } from './methods.ts'
import type { Networks } from './networks.ts'
import type { Query } from './procedure.ts'
import { refusals } from './refusals.ts'

/** `pn.inventory`: answered by any server that holds the documents, from what it holds. */
export function inventoryQuery(self: OperatorId, networks: Networks): Query<PnInventoryParams, Inventory> {
  return {
    spec: pnInventory,
    network: ({ home, pnId }) => ({ home, pnId }),
    executor: () => self,

    async perform({ home, pnId, at }, caller) {
      const name = { home, pnId }
      const view = await networks.view(name)
      if (!view) throw refusals.pnUnknown(name)
      // A replica that outlives its grant is for when the grant is renewed; until then nobody here may look into it.
      if (home !== self && !view.grants.has(self)) throw refusals.grantEnded(self, name)
      if (!mayReadNetwork(view, caller)) {
        throw refusals.notAuthorised(
          `Only the owner, gateways and elements of ${pnId} of ${home} may read its inventory.`,
        )
      }
      if (at === undefined) return view.inventory
      const then = await networks.view(name, at)
      return then?.inventory ?? view.inventory
    },
  }
}
