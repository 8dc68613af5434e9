import { createID, type Doc, getItem, Item } from 'yjs'
import type { History } from './guard.ts'

/*
 * Other servers' logs in a Y.Doc: what the guard asks of it before an update is applied, and what keeps the next ones cheap.
 */

/** A log, as Yjs knows it. */
interface YjsLog {
  readonly root: string
  readonly clientId: number
}

/**
 * What a log has written, as the Y.Doc knows it to which all its updates so far were applied. Reads what Yjs keeps
 * anyway, so it holds nothing and is always up to date: each root's map from key to last item, and the items by clock.
 */
export function historyOf(doc: Doc, log: YjsLog): History {
  const root = doc.getMap(log.root)
  return {
    isNew: key => !root._map.has(key),
    isLast(clock) {
      const item = getItem(doc.store, createID(log.clientId, clock))
      return item instanceof Item && item.right === null && item.lastId.clock === clock
    },
  }
}

/**
 * Keeps Yjs from ever joining items that an update has just added, from the clock `from` on, with their neighbours.
 *
 * Yjs joins two items that followed each other, once both are deleted, and so moves every item of the log that lies behind
 * them. A log can be written so that one update of 256 KiB has it join 4,000 pairs near the beginning: seconds of work.
 * Items whose deletion an UndoManager took back are never joined, and `redone` is how Yjs tells them. There is no
 * UndoManager here, nothing else reads the field, and it is not part of any update.
 */
export function keepApart(doc: Doc, { clientId }: Pick<YjsLog, 'clientId'>, from: number): void {
  const structs = doc.store.clients.get(clientId) ?? []
  for (const struct of backwards(structs)) {
    if (struct.id.clock < from) return
    if (struct instanceof Item) struct.redone = struct.id
  }
}

function* backwards<T>(items: readonly T[]): Generator<T> {
  for (let at = items.length - 1; at >= 0; at--) yield items[at] as T
}
