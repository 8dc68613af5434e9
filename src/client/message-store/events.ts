import type { ServerId } from '../../ports/names.ts'
import type { Content } from '../../storage/fields.ts'
import type { RequestRefused } from '../errors.ts'
import type { LocalChange } from './local-changes.ts'
import type { Applied } from './replica.ts'
import type { SyncResult } from './synchronise.ts'

/** What a message store tells of itself. */
export type MessageStoreEvent =
  /** The replica, or what waits, is not what it was: what is shown should be read again. Empty lists: only what waits. */
  | ({ readonly kind: 'changed' } & Applied)
  | { readonly kind: 'connection'; readonly connection: ConnectionState }
  | { readonly kind: 'sync.begun' }
  | { readonly kind: 'sync.progress'; readonly received: number; readonly pages: number }
  /** All of so many objects has come that were here in part. */
  | { readonly kind: 'sync.completing'; readonly completed: number }
  | ({ readonly kind: 'sync.ended' } & SyncResult)
  /** It is tried again after the time, or when the store is online again. */
  | { readonly kind: 'sync.failed'; readonly error: Error; readonly retryMs: number | undefined }
  /** The server has begun anew with this device: everything comes once more; what waits is kept. */
  | { readonly kind: 'reset' }
  /** Whether the network is metered, and how much of each object is taken there, is not what it was. */
  | { readonly kind: 'metering'; readonly isMetered: boolean; readonly content: Content }
  /** The server will not say when something is new; the store looks by itself, now and then. */
  | { readonly kind: 'notifications.refused'; readonly error: RequestRefused }
  /** A change of the user's will never be: it is taken back from what is shown. */
  | { readonly kind: 'refused'; readonly change: LocalChange; readonly why: Refusal }

/** Of all of it, or of one object in it. */
export type Refusal =
  | { readonly of: 'change'; readonly error: RequestRefused }
  | { readonly of: 'object'; readonly id: string; readonly status: number; readonly reason: string | undefined }

export type ConnectionState =
  | { readonly kind: 'online'; readonly server: ServerId; readonly url: string }
  /** On the way, or on the way back. */
  | { readonly kind: 'connecting'; readonly why: string }
  /** Because the application wanted it so. */
  | { readonly kind: 'offline' }
  /** For good: another credential, or another server, is needed. `goOnline` tries again. */
  | { readonly kind: 'refused'; readonly error: Error }

export type Tell = (event: MessageStoreEvent) => void
