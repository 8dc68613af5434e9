import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { nodeHpke } from '../../src/adapters/node-hpke.ts'
import { tableLogStore } from '../../src/adapters/table-log-store.ts'
import { treeMediaStore } from '../../src/adapters/tree-media-store.ts'
import { zipFormat } from '../../src/adapters/zip-format.ts'
import type { Production } from '../../src/simulation/production.ts'

/** What a simulation takes over from production, as the command line hands it in. */
export const production: Production = {
  crypto: nodeCrypto(),
  hpke: nodeHpke,
  logStore: tableLogStore,
  mediaStore: treeMediaStore,
  zip: zipFormat,
}
