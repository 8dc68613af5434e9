import { join } from 'node:path'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { createActorSystem } from '../../../src/actor/system.ts'
import { systemClock } from '../../../src/adapters/clock.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { serverIdentity } from '../../../src/adapters/identity.ts'
import { openLevelLogStore } from '../../../src/adapters/level-log-store.ts'
import { readServerKeys } from '../../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../../src/adapters/random.ts'
import { createDocuments } from '../../../src/document/create-documents.ts'
import { homeDocument } from '../../../src/inventory/networks.ts'
import { keys } from '../../../src/inventory/records.ts'
import { operatorId } from '../../../src/ports/names.ts'
import { contentMark, keysOfDocument, networkOf, subscriberOf } from './documents.ts'

/* Fills the folder of a server that does not run with Personal Networks of as many keys as the documents of others have, signed by the server. */

const writtenAtOnce = 512

export async function fillFolder({ folder, operator: name }: ServerFolder, count: number): Promise<void> {
  const [crypto, random, clock] = [nodeCrypto(), systemRandom(), systemClock({ holdsProcess: true })]
  const operator = operatorId(name)
  const { privateKey } = await readServerKeys(join(folder, 'keys/server.key'))
  const identity = serverIdentity(operator, privateKey, crypto)
  const store = await openLevelLogStore(join(folder, 'data'))
  const actors = createActorSystem({ clock, random })
  const documents = createDocuments({
    ...{ operator, identity, actors, store, crypto, clock, random },
    authorship: { mayHaveWritten: () => true, servers: () => [identity.server] },
    telemetry: { log: () => {}, count: () => {}, observe: () => {} },
    limits: { idleMs: 500 },
  })
  const elements = Array.from({ length: keysOfDocument - 1 }, (_, number) => ({
    key: keys.roster({ operator, pneId: `element-${number}` }),
    value: { epoch: 1 },
  }))
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      const network = { alias: contentMark, owner: subscriberOf(index), epoch: 1, command: `establishes-${index}` }
      const writes = [{ key: keys.network, value: network }, ...elements]
      const document = homeDocument({ home: operator, pnId: networkOf(index) })
      await documents.write(document, () => ({ writes, answer: undefined }))
    }
  }
  await Promise.all(Array.from({ length: writtenAtOnce }, worker))
  await actors.drain()
  await store.close()
}
