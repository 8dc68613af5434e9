import { join } from 'node:path'
import type { GatewayStore, GatewayStoreKey } from '../ports/gateway-store.ts'
import { exists, readText, writeText } from './files.ts'

/** Keeps a gateway's texts as files in a folder, which is made if it is not there. Only its owner may read them. */
export function gatewayFileStore(folder: string): GatewayStore {
  const fileOf = (key: GatewayStoreKey) => join(folder, `${key}.json`)
  return {
    read: async key => ((await exists(fileOf(key))) ? readText(fileOf(key)) : undefined),
    write: (key, text) => writeText(fileOf(key), text, 0o600),
  }
}
