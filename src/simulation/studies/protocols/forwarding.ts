import { applyUpdate, Doc } from 'yjs'
import type { Protocol } from '../protocol.ts'
import { type Workload, workingNode, workload } from './growing-set.ts'

/*
 * Our own replication on the workload of Enes et al.: what a server has durably taken in, it pushes at once over every link
 * but the one it came by, and what it holds already it does not push again (`SyncSession.push`, `Documents.subscribe`). So an
 * update crosses each link once, and those that close a circle twice: 2 × links − (nodes − 1).
 */

/** The rule by itself, with numbers for entries. */
export const forwarding: Protocol<number, Workload> = {
  name: 'forwarding',
  parameters: workload,
  node: here =>
    workingNode(here, set => ({
      added: entry => here.broadcast(entry, { elements: 1, kind: 'push' }),
      message(from, entry) {
        if (set.has(entry)) return
        set.add(entry)
        here.broadcast(entry, { elements: 1, kind: 'push', except: from })
      },
    })),
}

/**
 * The rule over real Yjs documents, as a Yjs provider between peers would have it: an update that changes the document is
 * pushed on; Yjs itself tells what is new.
 */
export const yjsPush: Protocol<Uint8Array, Workload> = {
  name: 'yjs-push',
  parameters: workload,
  codec: { encode: update => update, decode: bytes => bytes },
  node(here) {
    // Yjs would draw both at random.
    const doc = new Doc({ guid: 'study' })
    doc.clientID = here.id + 1
    const elements = doc.getMap<true>('set')
    return workingNode(here, set => {
      doc.on('update', (update: Uint8Array, origin: unknown) => {
        const from = typeof origin === 'number' ? { except: origin } : {}
        here.broadcast(update, { elements: 1, kind: 'push', ...from })
      })
      elements.observe(event => {
        for (const key of event.keysChanged) set.add(Number(key))
      })
      return {
        added: element => elements.set(String(element), true),
        message: (from, update) => applyUpdate(doc, update, from),
      }
    })
  },
}
