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
import type { Documents } from '../../../src/document/documents.ts'
import { homeDocument } from '../../../src/inventory/networks.ts'
import { keys } from '../../../src/inventory/records.ts'
import { type OperatorId, operatorId } from '../../../src/ports/names.ts'
import { writeMailbox } from '../mailbox-documents.ts'

/*
 * Fills the folder of a server that does not run with documents of its own, as the node writes them: signed by the server, in its store. A
 * third are Personal Networks of an owner and three elements, a third mailboxes, a third conversations of one message. Of what a node keeps
 * beside documents, to start sooner, there is nothing.
 */

const writtenAtOnce = 512
/** So many documents come together. */
const ofOne = 3

/** @param count of documents; rounded up to whole threes */
export async function fillFolder(
  { folder, operator: name }: ServerFolder,
  count: number,
  progress: (line: string) => void,
): Promise<void> {
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
  let next = 0
  const worker = async () => {
    while (next < count / ofOne) {
      const index = next++
      if (index > 0 && index % 50_000 === 0) progress(`${index * ofOne} of ${count} documents are written`)
      await writeNetwork(documents, operator, index)
      await writeMailbox(documents, operator, `u${index}`)
    }
  }
  await Promise.all(Array.from({ length: writtenAtOnce }, worker))
  await actors.drain()
  await store.close()
}

async function writeNetwork(documents: Documents, operator: OperatorId, index: number): Promise<void> {
  const network = { alias: 'Home', owner: `u${index}`, epoch: 1, command: `establishes-${index}` }
  const elements = ['phone', 'watch', 'lamp'].map(element => ({
    key: keys.roster({ operator, pneId: `${element}-${index}` }),
    value: { epoch: 1 },
  }))
  const writes = [{ key: keys.network, value: network }, ...elements]
  await documents.write(homeDocument({ home: operator, pnId: `home-${index}` }), () => ({ writes, answer: undefined }))
}
