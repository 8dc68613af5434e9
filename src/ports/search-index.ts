import type { OperatorId } from './names.ts'

/** Whose mailbox: a user's at its home operator. */
export interface MailboxName {
  readonly operator: OperatorId
  readonly user: string
}

/** Where an object lies. One object may lie at two places, when two servers stored it without knowing of each other. */
export interface ObjectPlace {
  readonly container: string
  readonly part: number
  readonly id: string
}

/** The texts of an object that are searched apart or all together. */
export const textFields = ['subject', 'text', 'addresses', 'media'] as const
export type TextField = (typeof textFields)[number]

/** What an object found by relevance counts for, for each phrase and each field that has it. */
export const fieldWeights: Readonly<Record<TextField, number>> = { subject: 4, media: 3, addresses: 2, text: 1 }

/** What the index knows of an object. Places, `from` and attributes' names are ASCII, so that all orders agree. */
export interface IndexedObject extends ObjectPlace {
  /** Milliseconds since 1970. */
  readonly date: number
  /** Bytes. */
  readonly size: number
  readonly from: string
  /** What it can be found by exactly; a name may stand several times, a pair once. */
  readonly attributes: readonly Attribute[]
  readonly flags: readonly string[]
  /** The words of each field, in order. */
  readonly words: Readonly<Record<TextField, readonly Word[]>>
}

export type Attribute = readonly [name: string, value: string]

/**
 * Of ASCII lower-case letters and digits alone; of the rest whatever is a whole character. How texts become words is not the
 * index's business.
 */
export type Word = string
const wordPattern = /^[a-z0-9\u0080-\ud7ff\ue000-\u{10ffff}]+$/u
export const isWord = (text: string): boolean => wordPattern.test(text)

export type IndexChange =
  /** Adds an object, or replaces it. */
  | { readonly kind: 'put'; readonly object: IndexedObject }
  /** Of an object that is not there, ignored. */
  | { readonly kind: 'flags'; readonly place: ObjectPlace; readonly flags: readonly string[] }
  | { readonly kind: 'remove'; readonly place: ObjectPlace }
  /** All objects in it. */
  | { readonly kind: 'remove-container'; readonly container: string }

export interface IndexBatch {
  /** How far the index must have come before; `undefined`: it must be a new one. */
  readonly after: string | undefined
  readonly changes: readonly IndexChange[]
  /** How far it has come with them: stored in the same transaction. */
  readonly position: string
}

/** What objects are to be found: a tree, whose leaves each hold for an object or do not. */
export type Criteria =
  /** Of none: every object. */
  | { readonly kind: 'and'; readonly of: readonly Criteria[] }
  /** Of none: no object. */
  | { readonly kind: 'or'; readonly of: readonly Criteria[] }
  | { readonly kind: 'not'; readonly of: Criteria }
  | { readonly kind: 'attribute'; readonly attribute: Attribute }
  | { readonly kind: 'flag'; readonly flag: string }
  | { readonly kind: 'id'; readonly id: string }
  /** At least `from`, below `before`. */
  | { readonly kind: 'range'; readonly of: 'date' | 'size'; readonly from?: number; readonly before?: number }
  /** These words, at least one, one after the other in one field; with `prefix` the last one may go on. */
  | {
      readonly kind: 'phrase'
      readonly words: readonly Word[]
      readonly prefix: boolean
      /** Left out: any field. */
      readonly field?: TextField
    }

/**
 * `relevance`: the sum, over the phrases that are not below a `not`, of the weights of the fields that have it. It depends on
 * the object and the query alone, so that it neither moves while objects come in nor differs between servers.
 */
export const sorts = ['date', 'size', 'from', 'relevance'] as const
export type Sort = (typeof sorts)[number]

/** Where an object stands in a sorted list: by its value, then date, id, container and part; in that order, or all reversed. */
export interface SortKey extends ObjectPlace {
  /** A text for `from`, else a number. */
  readonly value: number | string
  readonly date: number
}

export interface IndexQuery {
  readonly criteria: Criteria
  readonly sort: Sort
  readonly order: 'ascending' | 'descending'
  /** Objects of one page, at least 1. */
  readonly limit: number
  /** What stands behind this key, which no object need have any more. */
  readonly after?: SortKey
}

export interface IndexPage {
  /** In order. The key of the last one leads to the next page. */
  readonly objects: readonly SortKey[]
  /** Whether there were more when it was asked. */
  readonly more: boolean
}

/**
 * Finds the stored objects of mailboxes. All that it holds is derived and can be made again: what it has is dropped where it is
 * damaged or of another release, and then there is none, with no position. So whoever uses it says how far it must have
 * come, and hears {@link OutOfStep} when it has not.
 *
 * - A batch is stored whole or not at all, its position with it. It survives the end of the process; not necessarily a power
 *   cut, after which the index may stand at an earlier position.
 * - A query sees every batch that has resolved, and none in part.
 * - What was removed, or dropped, leaves the files too, before the call resolves.
 * - A mailbox that nobody asks about takes no memory.
 *
 * Every method may throw {@link SearchIndexFailed}; nothing else of the server depends on it.
 */
export interface SearchIndex {
  /** How far the index of a mailbox has come; `undefined` when there is none. */
  position(mailbox: MailboxName): Promise<string | undefined>
  /** @throws {OutOfStep} {@link SearchIndexFull} */
  apply(mailbox: MailboxName, batch: IndexBatch): Promise<void>
  /**
   * One page of what is found by an index that has come to `position`.
   * @throws {OutOfStep} {@link QueryTooBroad}
   */
  query(mailbox: MailboxName, position: string, query: IndexQuery): Promise<IndexPage>
  /**
   * Those of `values` that some object has as an attribute of this name, by an index that has come to `position`.
   * @throws {OutOfStep}
   */
  held(mailbox: MailboxName, position: string, name: string, values: readonly string[]): Promise<ReadonlySet<string>>
  /** The mailboxes that there are indexes of. */
  mailboxes(): Promise<readonly MailboxName[]>
  /** Forgets a mailbox; one that there is no index of, too. */
  drop(mailbox: MailboxName): Promise<void>
  /** Completes what is under way, then refuses. */
  close(): Promise<void>
}

/** The index cannot be read or written now; the message says why. */
export class SearchIndexFailed extends Error {
  override readonly name: string = 'SearchIndexFailed'
}

/** Nothing of the batch was stored: there is no room. */
export class SearchIndexFull extends SearchIndexFailed {
  override readonly name = 'SearchIndexFull'
}

/** The index has not come to the position that was named, or is none any more: ask for its position and go on from there. */
export class OutOfStep extends Error {
  override readonly name = 'OutOfStep'
}

/** The query was given up: it would have held up all others. */
export class QueryTooBroad extends Error {
  override readonly name = 'QueryTooBroad'
}
