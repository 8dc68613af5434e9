import { z } from 'zod'
import { type Inventory, inventory } from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Clock } from '../ports/clock.ts'
import type { GatewayStore } from '../ports/gateway-store.ts'
import { createKeeper, readKept } from './keeper.ts'

/** An inventory as the gateway's server gave it, and when that was (milliseconds since 1970, by the gateway's clock). */
export interface LocalInventory {
  readonly inventory: Inventory
  readonly asOf: number
}

/**
 * The local inventories of a PN gateway: of each of its Personal Networks the last that it was given. They outlive the
 * gateway's process, so that one that starts without its server starts with what it knew.
 */
export interface LocalInventories {
  get(network: NetworkName): LocalInventory | undefined
  all(): LocalInventory[]
  /** Takes in what the server has just given. It is kept in the background. */
  learn(inventory: Inventory): void
  /** Of a Personal Network that the gateway has no more part in. */
  forget(network: NetworkName): void
}

export interface LocalInventoriesOptions {
  readonly store: GatewayStore
  readonly clock: Pick<Clock, 'now'>
  /** Hears that what was learned could not be kept. It is known as long as the process lasts. */
  readonly notKept: (error: unknown) => void
}

const keptSchema = z.object({ networks: z.array(z.unknown()) })
const entrySchema = z.object({ inventory, asOf: z.int().min(0) })

/** With what the store holds. An inventory of another version's shape is passed over: the server has a newer one. */
export async function openLocalInventories(options: LocalInventoriesOptions): Promise<LocalInventories> {
  const { store, clock, notKept } = options
  const known = new Map<string, LocalInventory>()
  for (const entry of (await readKept(store, 'inventories', keptSchema))?.networks ?? []) {
    const parsed = entrySchema.safeParse(entry)
    if (parsed.success) known.set(networkKey(parsed.data.inventory), parsed.data)
  }
  const keeper = createKeeper(store, 'inventories', () => ({ networks: [...known.values()] }))
  const keep = () => void keeper.save().catch(notKept)

  return {
    get: network => known.get(networkKey(network)),
    all: () => [...known.values()],
    learn(learned) {
      known.set(networkKey(learned), { inventory: learned, asOf: clock.now() })
      keep()
    },
    forget(network) {
      if (known.delete(networkKey(network))) keep()
    },
  }
}

/** One string for a Personal Network; unambiguous, since neither part contains a slash. */
export const networkKey = ({ home, pnId }: NetworkName): string => `${home}/${pnId}`
