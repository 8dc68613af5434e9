import type { PeerStream } from '../ports/peer-network.ts'
import type { LinkFault } from './conduct.ts'
import type { Greeted } from './greeting.ts'

/** What a link hears. `life` tells what belongs to the present connection from what comes late. */
export type LinkMessage =
  /** There is to be a link, if there may be: said at the start, when trust has changed, and now and then. */
  | { readonly type: 'tend' }
  /** The time to dial has come. */
  | { readonly type: 'due' }
  | { readonly type: 'connected' }
  | { readonly type: 'disconnected' }
  /** The peer opened a stream of hello or sync. */
  | { readonly type: 'stream'; readonly stream: PeerStream }
  | { readonly type: 'dialled'; readonly life: number }
  | { readonly type: 'unreachable'; readonly life: number; readonly reason: string }
  | { readonly type: 'greeted'; readonly life: number; readonly greeted: Greeted }
  | { readonly type: 'opened'; readonly life: number; readonly stream: PeerStream }
  | { readonly type: 'reconciled'; readonly life: number }
  /** `fault`: the peer's, if it is not named yet. */
  | { readonly type: 'broken'; readonly life: number; readonly reason: string; readonly fault?: LinkFault }
