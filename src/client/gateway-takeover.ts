import { toBase64url } from '../commands/framing.ts'
import { gatewayActivate, type Inventory, presenceQuery } from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import { RequestRefused } from './errors.ts'
import { networkKey } from './local-inventories.ts'
import { fractionOf, isOpen } from './patience.ts'
import type { Uplink } from './uplink.ts'

/*
 * Whether a gateway is to be the active one of a Personal Network in place of another. It is, when its priority is greater,
 * or when the active one is not there: not seen twice in a row, so that one that is just coming is waited for. The server
 * has the last word. To know whose turn it is the inventory is read again, so that what the gateway knows is never much
 * older than its last look when its server goes.
 */

export interface Takeover {
  /** Looks now, and again and again. */
  begin(): void
  stop(): void
}

export interface TakeoverOptions {
  readonly uplink: Uplink
  readonly clock: Clock
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
  readonly gatewayId: string
  readonly operator: OperatorId
  /** Where the gateway is attached. */
  readonly networks: () => readonly NetworkName[]
  /** The inventory as the server has it now. */
  readonly refresh: (network: NetworkName) => Promise<Inventory>
  readonly activated: (network: NetworkName) => void
  readonly failed: (error: unknown) => void
}

/** From one look to the next, at least and at most: gateways that lost the same one do not claim together. */
const everyMs = { least: 20_000, most: 30_000 }

export function createTakeover(options: TakeoverOptions): Takeover {
  const { uplink, clock, crypto, gatewayId, operator, networks, refresh, activated, failed } = options
  /** Personal Networks whose active gateway was not there the last time. */
  const missed = new Set<string>()
  let isLooking = false
  let cancelNext: Cancel = () => {}

  /** The active gateway, if it is another one; `undefined` also where this one does not belong. */
  function ahead({ gateways }: Inventory) {
    const own = gateways.find(gateway => gateway.gatewayId === gatewayId && gateway.operator === operator)
    const active = gateways.find(gateway => gateway.active)
    return own && active && own !== active ? { active, isLess: active.priority < own.priority } : undefined
  }

  async function isThere({ home, pnId }: NetworkName, active: Inventory['gateways'][number]): Promise<boolean> {
    const { gateways } = await uplink.call(presenceQuery, { home, pnId })
    return gateways.some(
      ({ gatewayId, operator, reach }) =>
        gatewayId === active.gatewayId && operator === active.operator && reach === 'reachable',
    )
  }

  async function isWanted(network: NetworkName): Promise<boolean> {
    const key = networkKey(network)
    const found = ahead(await refresh(network))
    if (found?.isLess) return true
    if (!found || (await isThere(network, found.active))) {
      missed.delete(key)
      return false
    }
    if (missed.has(key)) return true
    missed.add(key)
    return false
  }

  async function look(network: NetworkName): Promise<void> {
    if (!(await isWanted(network))) return
    const { home, pnId } = network
    const commandId = toBase64url(crypto.randomBytes(16))
    await uplink.call(gatewayActivate, { commandId, home, pnId, gatewayId })
    missed.delete(networkKey(network))
    activated(network)
    await refresh(network)
  }

  async function lookEverywhere(): Promise<void> {
    if (isLooking) return
    isLooking = true
    for (const network of networks()) {
      if (!uplink.isOpen) break
      await look(network).catch(error => {
        // The server sees the active one at work, or does not have this one any more; the next look is another one.
        if (!isOpen(error) && !(error instanceof RequestRefused)) failed(error)
      })
    }
    isLooking = false
  }

  function lookLater(): void {
    const delayMs = everyMs.least + fractionOf(crypto) * (everyMs.most - everyMs.least)
    cancelNext = clock.after(delayMs, () => {
      lookLater()
      void lookEverywhere()
    })
  }

  return {
    begin() {
      cancelNext()
      lookLater()
      void lookEverywhere()
    },
    stop: () => cancelNext(),
  }
}
