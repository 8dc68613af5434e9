import type { Pne } from '../inventory/fields.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { RequestRefused } from './errors.ts'
import type { QueuedCommand } from './gateway-queue.ts'
import type { RelayEvent } from './registration-relay.ts'

/** What a gateway tells the program around it. */
export type GatewayEvent =
  | RelayEvent
  /** It has its server and has caught up, or serves alone. */
  | { readonly type: 'connected' }
  | { readonly type: 'local'; readonly why: string }
  /** It is the active gateway of this Personal Network now, in place of another. */
  | { readonly type: 'activated'; readonly network: NetworkName }
  /** A PNE was let in, beside its server or without. */
  | { readonly type: 'paired'; readonly network: NetworkName; readonly pne: Pne }
  /** Kept for the server. */
  | { readonly type: 'queued'; readonly command: QueuedCommand }
  /** What was kept was decided by the server. Refused, it is dropped: what was done here without it does not hold. */
  | { readonly type: 'executed'; readonly command: QueuedCommand }
  | { readonly type: 'refused'; readonly command: QueuedCommand; readonly error: RequestRefused }
  /** Something kept by another version, which this one cannot send. It is dropped. */
  | { readonly type: 'not-understood'; readonly command: unknown }
  /** The server will not have this gateway in the Personal Network any more. What it knew of it is dropped. */
  | { readonly type: 'detached'; readonly network: NetworkName; readonly error: RequestRefused }
  /** What it knows could not be kept, or catching up did not go on, which is tried again; or who asked went without an answer. */
  | {
      readonly type: 'failed'
      readonly what: 'keeping' | 'catching up' | 'answering' | 'taking over'
      readonly error: unknown
    }
