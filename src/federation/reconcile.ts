import type { DocumentId } from '../ports/names.ts'
import { type Leaf, maxPageDocuments, type Page } from './wire.ts'

/*
 * Finding which documents differ between two servers. One of the two drives: it goes through the documents that both may
 * hold in order of id, a page at a time, and sends (id, digest) of each; the other compares with what it holds in the same
 * range, sees to what differs, says so, and gets the next page. What is done about a document that differs is not the
 * business of this module; nor is where documents come from: a source is a function that answers them in order.
 */

/** Documents in order of id (UTF-16 code units), those after `after`. */
export type Source = (after: string) => AsyncIterable<Leaf>

/** The page of `source` after `after`. */
export async function pageAfter(source: Source, round: number, after: string): Promise<Page> {
  const leaves: Leaf[] = []
  for await (const leaf of source(after)) {
    if (leaves.length === maxPageDocuments) return { type: 'page', round, after, leaves, last: false }
    leaves.push(leaf)
  }
  return { type: 'page', round, after, leaves, last: true }
}

/** Documents that differ, or that one side alone holds, in the range of the page; in order, each once. */
export async function* differing(page: Page, source: Source): AsyncGenerator<DocumentId> {
  const end = page.last ? undefined : page.leaves.at(-1)?.document
  let next = 0
  for await (const mine of source(page.after)) {
    if (end !== undefined && mine.document > end) break
    for (; ; next++) {
      const theirs = page.leaves[next]
      if (!theirs || theirs.document >= mine.document) break
      yield theirs.document
    }
    const theirs = page.leaves[next]
    if (theirs?.document !== mine.document) yield mine.document
    else {
      next++
      if (!same(theirs.digest, mine.digest)) yield mine.document
    }
  }
  for (const theirs of page.leaves.slice(next)) yield theirs.document
}

/** Where the driver is. A round that becomes due while another is under way follows it. */
export type Walk =
  | { readonly state: 'resting'; readonly round: number }
  /** The page after `after` is being read. */
  | { readonly state: 'reading'; readonly round: number; readonly after: string; readonly again: boolean }
  /** A page is out; `end` is the last document it named, or `undefined` if it was the last page. */
  | { readonly state: 'waiting'; readonly round: number; readonly end: string | undefined; readonly again: boolean }

export type WalkEvent =
  | { readonly type: 'due' }
  | { readonly type: 'sent'; readonly page: Page }
  | { readonly type: 'paged'; readonly round: number }

export const resting: Walk = { state: 'resting', round: 0 }

/** What follows. A walk that enters `reading` has a page to be read and sent. What does not fit the state changes nothing. */
export function advance(walk: Walk, event: WalkEvent): Walk {
  switch (event.type) {
    case 'due':
      return walk.state === 'resting' ? begun(walk.round) : { ...walk, again: true }
    case 'sent': {
      const { round, last, leaves } = event.page
      if (walk.state !== 'reading' || walk.round !== round) return walk
      return { state: 'waiting', round, end: last ? undefined : leaves.at(-1)?.document, again: walk.again }
    }
    case 'paged': {
      if (walk.state !== 'waiting' || walk.round !== event.round) return walk
      if (walk.end !== undefined) {
        return { state: 'reading', round: walk.round, after: walk.end, again: walk.again }
      }
      return walk.again ? begun(walk.round) : { state: 'resting', round: walk.round }
    }
  }
}

const begun = (round: number): Walk => ({ state: 'reading', round: (round + 1) % 2 ** 32, after: '', again: false })

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
