import { type Doc, Item } from 'yjs'

/**
 * Keeps Yjs from ever joining items that an update of another server's log has just added, from the clock `from` on, with
 * their neighbours.
 *
 * Yjs joins two items that followed each other, once both are deleted, and so moves every item of the log that lies behind
 * them. A log can be written so that one update of 256 KiB has it join 4,000 pairs near the beginning: seconds of work.
 * Items whose deletion an UndoManager took back are never joined, and `redone` is how Yjs tells them. There is no
 * UndoManager here, nothing else reads the field, and it is not part of any update.
 */
export function keepApart(doc: Doc, clientId: number, from: number): void {
  const structs = doc.store.clients.get(clientId) ?? []
  for (const struct of backwards(structs)) {
    if (struct.id.clock < from) return
    if (struct instanceof Item) struct.redone = struct.id
  }
}

function* backwards<T>(items: readonly T[]): Generator<T> {
  for (let at = items.length - 1; at >= 0; at--) yield items[at] as T
}
