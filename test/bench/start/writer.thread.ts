import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { createActorSystem } from '../../../src/actor/system.ts'
import { systemClock } from '../../../src/adapters/clock.ts'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { serverIdentity } from '../../../src/adapters/identity.ts'
import { readServerKeys } from '../../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../../src/adapters/random.ts'
import { tableLogStore } from '../../../src/adapters/table-log-store.ts'
import { createDocuments } from '../../../src/document/create-documents.ts'
import { operatorId } from '../../../src/ports/names.ts'
import type { Operation, Table } from '../../../src/ports/table.ts'
import type { Content } from './documents.ts'

/*
 * A thread that writes documents by the production code, each once, over a table that is somebody else's: what is written goes to whoever
 * has begun the thread, and counts when that says so. Nothing is ever read of it.
 */

export interface WriterOrders {
  /** Where the server's key is. */
  readonly key: string
  readonly operator: string
  /** The module whose `write` puts what comes together, by its number. */
  readonly content: string
  /** Numbers of what comes together: `from` (inclusive) to `to` (exclusive). */
  readonly from: number
  readonly to: number
}

export interface Written {
  /** Records, one after another: the lengths of key and value, 32 bits each, and both. */
  readonly packed: Uint8Array<ArrayBuffer>
  /** How many of what comes together were done since the last time. */
  readonly done: number
}

const writtenAtOnce = 512
/** What is removed has none; here nothing is. */
const valueIn = ({ value = new Uint8Array(0) }: Operation) => value
const port = parentPort
if (!port) throw new Error('This is a thread.')
const { key, operator: name, content, from, to }: WriterOrders = workerData
const { write }: Content = await import(content)
let done = 0

const table: Table = {
  async write(operations) {
    const packed = packedOf(operations)
    const written: Written = { packed, done }
    done = 0
    port.postMessage(written, [packed.buffer])
    await once(port, 'message')
  },
  get: async () => undefined,
  async *records() {},
  async *keys() {},
  close: async () => {},
}

const [crypto, random, clock] = [nodeCrypto(), systemRandom(), systemClock({ holdsProcess: true })]
const operator = operatorId(name)
const { privateKey } = await readServerKeys(key)
const identity = serverIdentity(operator, privateKey, crypto)
const actors = createActorSystem({ clock, random })
const documents = createDocuments({
  ...{ operator, identity, actors, crypto, clock, random },
  store: tableLogStore(table),
  authorship: { mayHaveWritten: () => true, servers: () => [identity.server] },
  telemetry: { log: () => {}, count: () => {}, observe: () => {} },
  limits: { idleMs: 500 },
})
let next = from
const worker = async () => {
  while (next < to) {
    const index = next++
    await write(documents, operator, index)
    done++
  }
}
await Promise.all(Array.from({ length: writtenAtOnce }, worker))
await actors.drain()
port.close()

function packedOf(operations: readonly Operation[]): Uint8Array<ArrayBuffer> {
  const bytes = operations.reduce((sum, each) => sum + 8 + each.key.length + valueIn(each).length, 0)
  const packed = new Uint8Array(bytes)
  const lengths = new DataView(packed.buffer)
  let at = 0
  for (const operation of operations) {
    const value = valueIn(operation)
    lengths.setUint32(at, operation.key.length)
    lengths.setUint32(at + 4, value.length)
    packed.set(operation.key, at + 8)
    packed.set(value, at + 8 + operation.key.length)
    at += 8 + operation.key.length + value.length
  }
  return packed
}
