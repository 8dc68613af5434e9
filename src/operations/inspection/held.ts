import type { Registers } from '../../document/documents.ts'
import { contentAt, readHistory } from '../../document/history.ts'
import type { IndexRecord } from '../../ports/log-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { PageWanted, Sources } from './inspection.ts'

/** What is asked for is not held by this server. The message says where else it may be. */
export class NotHeld extends Error {
  override readonly name = 'NotHeld'
}

/** What is asked for is of users, and not the operator's to read. */
export class ContentWithheld extends Error {
  override readonly name = 'ContentWithheld'
}

/** The content now; `undefined` for a document that is not held. */
export async function heldContent(
  { store, crypto }: Pick<Sources, 'store' | 'crypto'>,
  document: DocumentId,
): Promise<Registers | undefined> {
  const history = await readHistory(store, document, crypto)
  return history && contentAt(history.entries)
}

/** Looks at the documents of one page, and shows those that there is something to be said of. */
export async function page<T>(
  { store }: Pick<Sources, 'store'>,
  prefix: string,
  { after, limit }: PageWanted,
  show: (index: IndexRecord) => Promise<T | undefined>,
): Promise<{ items: T[]; next?: string }> {
  const items: T[] = []
  let looked = 0
  let last = ''
  const from = after === undefined || after < prefix ? prefix : `${after}\0`
  for await (const index of store.scan({ from, to: `${prefix}\uffff` })) {
    if (looked === limit) return { items, next: last }
    looked += 1
    last = index.document
    const item = await show(index)
    if (item !== undefined) items.push(item)
  }
  return { items }
}
