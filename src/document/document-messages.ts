import type { Message, Question } from '../actor/types.ts'
import type { ServerId } from '../ports/names.ts'
import type { DocumentObserver, HeldContent, IngestResult, Mutation, Registers, Room } from './documents.ts'

/* What the actor of a document is told and asked; the meaning of each is that of the method of `Documents`. */

export interface Write extends Message, Question<unknown> {
  readonly type: 'write'
  readonly mutation: Mutation<unknown>
}
export interface Read extends Message, Question<Registers> {
  readonly type: 'read'
}
export interface ReadHeld extends Message, Question<HeldContent | undefined> {
  readonly type: 'held'
}
export interface AskRoom extends Message, Question<Room> {
  readonly type: 'room'
}
export interface Ingest extends Message, Question<IngestResult> {
  readonly type: 'ingest'
  readonly entries: readonly Uint8Array[]
  readonly source: ServerId
  readonly turn: string
}
export interface Observe extends Message, Question<number> {
  readonly type: 'observe'
  readonly observer: DocumentObserver
}
export interface Unobserve extends Message {
  readonly type: 'unobserve'
  readonly observer: DocumentObserver
}
export interface Diff extends Message, Question<Uint8Array> {
  readonly type: 'diff'
  readonly observer: DocumentObserver
  readonly stateVector: Uint8Array | undefined
}
export interface Compact extends Message, Question<void> {
  readonly type: 'compact'
}
export interface Forget extends Message, Question<void> {
  readonly type: 'forget'
  readonly digest: Uint8Array | undefined
}
export interface Examine extends Message, Question<number> {
  readonly type: 'examine'
}
export interface GiveUp extends Message, Question<boolean> {
  readonly type: 'give-up'
}
/** What a document is asked. Everything but `unobserve` is answered. */
export type DocumentMessage =
  | Write
  | Read
  | ReadHeld
  | AskRoom
  | Ingest
  | Observe
  | Unobserve
  | Diff
  | Compact
  | Forget
  | Examine
  | GiveUp
