import type { z } from 'zod'
import type { GatewayStore, GatewayStoreKey } from '../ports/gateway-store.ts'
import { refuseLater } from '../ports/stored-format.ts'

/** Of each text; one that says none is of version 1. */
const formatVersion = 1

/** What stands in a gateway's store is no text of a gateway. */
export class StoreDamaged extends Error {
  override readonly name = 'StoreDamaged'
}

/** Keeps nothing. */
export const forgetful: GatewayStore = { read: async () => undefined, write: async () => {} }

/** One text of a gateway's store, written as a whole whenever what it says has changed. */
export interface Keeper {
  /**
   * Resolves when what is said now is durable. One write runs at a time; what changes meanwhile goes into the next one
   * together. Rejects when the write that was to hold it failed: whether it is kept is open then.
   */
  save(): Promise<void>
}

export function createKeeper(store: GatewayStore, key: GatewayStoreKey, current: () => object): Keeper {
  let running: Promise<void> | undefined
  /** The write that begins when the running one has ended. */
  let next: Promise<void> | undefined

  function write(): Promise<void> {
    const writing = store.write(key, JSON.stringify({ version: formatVersion, ...current() }))
    running = writing
    const ended = () => {
      if (running === writing) running = undefined
    }
    writing.then(ended, ended)
    return writing
  }

  return {
    save() {
      if (next) return next
      if (!running) return write()
      const begin = () => {
        next = undefined
        return write()
      }
      next = running.then(begin, begin)
      return next
    },
  }
}

/**
 * What a text of the store says, or `undefined` where nothing was kept.
 * @throws {UnknownFormat} when a later release wrote it
 * @throws {StoreDamaged} when it says something else: then somebody must look before anything is written over it.
 */
export async function readKept<T>(
  store: GatewayStore,
  key: GatewayStoreKey,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  const text = await store.read(key)
  if (text === undefined) return undefined
  const kept = parseJson(text)
  refuseLater(`What the gateway kept as "${key}"`, kept, formatVersion)
  const parsed = schema.safeParse(kept)
  if (parsed.success) return parsed.data
  throw new StoreDamaged(
    `What the gateway kept as "${key}" cannot be understood. Something else wrote it: put the right store in place, or remove "${key}" to start without.`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
