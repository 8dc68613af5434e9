import { createID, type Doc, getItem, Item } from 'yjs'
import type { History } from './guard.ts'

/**
 * What a log has written, as the Y.Doc knows it to which all its updates so far were applied. Reads what Yjs keeps
 * anyway, so it holds nothing and is always up to date: each root's map from key to last item, and the items by clock.
 */
export function historyOf(doc: Doc, log: { readonly root: string; readonly clientId: number }): History {
  const root = doc.getMap(log.root)
  return {
    isNew: key => !root._map.has(key),
    isLast(clock) {
      const item = getItem(doc.store, createID(log.clientId, clock))
      return item instanceof Item && item.right === null && item.lastId.clock === clock
    },
  }
}
