import { commandRefusals } from '../commands/refusals.ts'
import type { Command, Principal } from '../federation/command.ts'
import { mayReadNetwork } from './authority.ts'
import { type Belongings, placeOf } from './belongings.ts'
import { asRefusal } from './dispatch.ts'
import {
  type FoundGateways,
  type GatewayFindParams,
  type GatewayFindResult,
  gatewayFind,
  type Inventory,
  type PnListParams,
  type PnListResult,
  pnList,
  type UsageInformation,
} from './methods.ts'
import type { Networks } from './networks.ts'

/*
 * Questions about all the PNs that the caller has part in, as far as this server holds their documents: answered by it
 * alone, in pages. Each page looks at no more than so many PNs, whether there is something to show or not.
 */

const maxLookedAt = 100

export interface NetworkQueriesOptions {
  readonly networks: Pick<Networks, 'view'>
  readonly belongings: Pick<Belongings, 'of'>
  /** What is known of all PNs: not all yet while the server starts. */
  readonly facts: { readonly isLoaded: boolean; settled(): Promise<void> }
}

/** `pn.list`: usage information of the caller's PNs, those that have ended included as long as it may read them. */
export const listing = (options: NetworkQueriesOptions): Command<PnListParams, PnListResult> => ({
  spec: pnList,
  async execute({ after }, principal) {
    const { found, next } = await page(options, principal, after, inventory => [usageOf(inventory)]).catch(asRefusal)
    return { networks: found, next }
  },
})

/** `gateway.find`: the gateways of a zone, and whom they serve. */
export const finding = (options: NetworkQueriesOptions): Command<GatewayFindParams, GatewayFindResult> => ({
  spec: gatewayFind,
  async execute({ zone, after }, principal) {
    const { found, next } = await page(options, principal, after, inventory => inZone(inventory, zone)).catch(asRefusal)
    return { networks: found, next }
  },
})

async function page<T>(
  { networks, belongings, facts }: NetworkQueriesOptions,
  principal: Principal,
  after: string | undefined,
  show: (inventory: Inventory) => readonly T[],
): Promise<{ readonly found: T[]; readonly next: string | undefined }> {
  if (!facts.isLoaded) throw commandRefusals.starting()
  // Whoever was told that a PN is there finds it.
  await facts.settled()
  const names = belongings.of(principal).filter(name => after === undefined || placeOf(name) > after)
  const looked = names.slice(0, maxLookedAt)
  const found: T[] = []
  for (const name of looked) {
    const view = await networks.view(name)
    if (view && mayReadNetwork(view, { kind: 'subscriber', principal })) found.push(...show(view.inventory))
  }
  const last = looked.at(-1)
  return { found, next: last && names.length > looked.length ? placeOf(last) : undefined }
}

function usageOf({ gateways, ...inventory }: Inventory): UsageInformation {
  const { home, pnId, alias, owner, state, epoch, expires, connectionMode } = inventory
  return {
    home,
    pnId,
    alias,
    owner,
    state,
    epoch,
    ...(expires === undefined ? {} : { expires }),
    connectionMode,
    gateways: gateways.map(({ operator, gatewayId, active }) => ({ operator, gatewayId, active })),
  }
}

/** Members are in the zone of the gateway that they are registered through. */
function inZone({ home, pnId, alias, state, gateways, members }: Inventory, zone: string): FoundGateways[] {
  const there = gateways.filter(gateway => gateway.zone === zone)
  if (state !== 'live' || there.length === 0) return []
  const ids = new Set(there.map(({ gatewayId }) => gatewayId))
  return [
    {
      home,
      pnId,
      alias,
      gateways: there.map(({ operator, gatewayId, active }) => ({ operator, gatewayId, active })),
      members: members
        .filter(({ gatewayId, state }) => state === 'active' && gatewayId !== undefined && ids.has(gatewayId))
        .map(({ operator, pneId }) => ({ operator, pneId })),
    },
  ]
}
