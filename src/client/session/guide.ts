import type { ServerId } from '../../ports/names.ts'
import type { ClientIdentity, GuestIdentity } from '../authenticate.ts'

/*
 * What a client that keeps a connection has to know besides how that is done: where to go, as whom, and how patiently.
 */

/** A server, by its URLs: several lead to the same one. */
export interface Place {
  readonly urls: readonly string[]
}

export interface Guide {
  /** As whom, and with which servers of its own operator. */
  identity(): ClientIdentity
  /** One round: where to try, one after another. At least one place. */
  round(): readonly Place[]
  /** As whom the client goes to a server that it is sent to; `undefined`: it does not go there. */
  follow(server: string): ClientIdentity | GuestIdentity | undefined
  /** Whether the client may be sent to servers of other operators. */
  roams(): boolean
  /** How often it follows from one server to the next before it gives up for now. */
  hops(): number
  /** Bounds of the pauses between rounds. */
  pauses(): { readonly firstMs: number; readonly longestMs: number }
  /** A place was tried. */
  tried(place: Place): void
  /** A server has sent the client to another one for good. */
  moved(from: string, to: Place & { readonly server: ServerId }): void
}

const defaultHops = 4
const firstPauseMs = 500
const defaultLongestPauseMs = 60_000

/** By what an application says: its URLs in their order, after a lost connection beginning with the next one. */
export function fixedGuide(
  options: ClientIdentity & { readonly urls: readonly string[]; readonly longestPauseMs?: number },
): Guide {
  let places: readonly Place[] = options.urls.map(url => ({ urls: [url] }))
  let next = 0
  return {
    identity: () => options,
    round: () => [...places.slice(next), ...places.slice(0, next)],
    follow: server => (options.servers.some(known => known === server) ? options : undefined),
    roams: () => false,
    hops: () => defaultHops,
    pauses: () => ({ firstMs: firstPauseMs, longestMs: options.longestPauseMs ?? defaultLongestPauseMs }),
    tried(place) {
      const index = places.indexOf(place)
      if (index >= 0) next = (index + 1) % places.length
    },
    moved(from, to) {
      const leaves = (place: Place) => place.urls.includes(from)
      if (!places.some(leaves)) return
      const isKnown = places.some(({ urls }) => urls.some(url => to.urls.includes(url)))
      places = isKnown ? places.filter(place => !leaves(place)) : places.map(place => (leaves(place) ? to : place))
      next %= places.length
    },
  }
}
