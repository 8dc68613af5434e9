import { applyUpdate, Doc, encodeStateAsUpdate, encodeStateVector } from 'yjs'
import type { HostPorts } from '../../host.ts'
import { type Inspection, type Replica, sortedContent } from './replica.ts'

/** Says what is meant, before the bytes of a state vector or an update. */
const asks = 0
const updates = 1

/**
 * Yjs as it is easily used: the document's updates are stored one by one and sent at once; a restart loads them and goes on
 * under the client id that is this machine's. (The id is set after loading: set before, Yjs would draw another at random as
 * soon as it meets its own updates, which hides the mistake.)
 */
export async function naiveReplica(ports: HostPorts, peer: string, clientId: number): Promise<Replica> {
  const { messenger, store, run } = ports
  const doc = new Doc({ guid: 'amnesia' })
  doc.clientID = 0
  let stored = 0
  for await (const { value } of store.localScan(prefix)) {
    applyUpdate(doc, value)
    stored += 1
  }
  doc.clientID = clientId
  const acknowledged = new Set<string>()
  const say = (what: number, bytes: Uint8Array) => messenger.send(peer, Uint8Array.of(what, ...bytes), 'yjs')
  const persist = (update: Uint8Array): Promise<void> => {
    stored += 1
    return store.commit({
      documents: [],
      local: [{ key: `${prefix}${String(stored).padStart(8, '0')}`, value: update }],
    })
  }
  let writing = ''
  doc.on('update', (update: Uint8Array, origin: unknown) => {
    const key = writing
    persist(update).then(() => acknowledged.add(key), ignore)
    if (origin !== fromPeer) say(updates, update)
  })
  messenger.listen((_from, [what, ...rest]) => {
    const bytes = Uint8Array.from(rest)
    if (what === updates) applyUpdate(doc, bytes, fromPeer)
    else say(updates, encodeStateAsUpdate(doc, bytes))
  })
  return {
    acknowledged,
    write(key, value) {
      writing = key
      doc.getMap<string>('content').set(key, value)
    },
    sync() {
      if (run.standing === 'running') say(asks, encodeStateVector(doc))
    },
    async inspect(): Promise<Inspection> {
      return {
        content: sortedContent(doc.getMap<string>('content').entries()),
        version: Buffer.from(encodeStateVector(doc)).toString('hex'),
      }
    },
  }
}

const prefix = 'update/'
const fromPeer = 'peer'
/** What was not stored is not acknowledged; the naive program hears of no more. */
const ignore = () => {}
