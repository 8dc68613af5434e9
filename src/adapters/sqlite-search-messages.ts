import {
  type IndexBatch,
  type IndexPage,
  type IndexQuery,
  type MailboxName,
  OutOfStep,
  QueryTooBroad,
  SearchIndexFailed,
  SearchIndexFull,
} from '../ports/search-index.ts'

/*
 * What passes between the server's thread and that of SQLite. Errors lose their class on the way: they go by name.
 */

export type Work =
  | { readonly kind: 'position'; readonly mailbox: MailboxName }
  | { readonly kind: 'apply'; readonly mailbox: MailboxName; readonly batch: IndexBatch }
  | { readonly kind: 'query'; readonly mailbox: MailboxName; readonly position: string; readonly query: IndexQuery }
  | {
      readonly kind: 'held'
      readonly mailbox: MailboxName
      readonly position: string
      readonly name: string
      readonly values: readonly string[]
    }
  | { readonly kind: 'drop'; readonly mailbox: MailboxName }
  | { readonly kind: 'mailboxes' }
  | { readonly kind: 'close' }

/** What each kind of work is answered with. */
export interface Answers {
  readonly position: string | undefined
  readonly apply: undefined
  readonly query: IndexPage
  readonly held: readonly string[]
  readonly mailboxes: readonly MailboxName[]
  readonly drop: undefined
  readonly close: undefined
}

export interface Call {
  readonly number: number
  readonly work: Work
}

export type Reply = { readonly number: number } & (
  | { readonly ok: true; readonly answer: Answers[keyof Answers] }
  | { readonly ok: false; readonly failure: Failure }
)

export interface Failure {
  readonly name: string
  readonly message: string
}

export const failureOf = (error: unknown): Failure =>
  error instanceof Error ? { name: error.name, message: error.message } : { name: '', message: String(error) }

export function errorOf({ name, message }: Failure): Error {
  switch (name) {
    case 'OutOfStep':
      return new OutOfStep(message)
    case 'QueryTooBroad':
      return new QueryTooBroad(message)
    case 'SearchIndexFull':
      return new SearchIndexFull(message)
    case 'RangeError':
      return new RangeError(message)
    default:
      return new SearchIndexFailed(message)
  }
}
