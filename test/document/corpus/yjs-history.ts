import { createID, type Doc, getItem, Item } from 'yjs'
import type { History } from '../../../src/document/guard.ts'
import type { Log } from './honest.ts'

/** What a log has written, as the Y.Doc knows it to which all its updates so far were applied. */
export function historyOf(doc: Doc, log: Log): History {
  const root = doc.getMap(log.root)
  return {
    isNew: key => !root._map.has(key),
    isLast(clock) {
      const item = getItem(doc.store, createID(log.clientId, clock))
      return item instanceof Item && item.right === null && item.lastId.clock === clock
    },
  }
}
