import type { Pne } from '../inventory/fields.ts'
import type { Activity } from '../inventory/methods.ts'
import { pneKey } from '../inventory/records.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import { networkKey } from './local-inventories.ts'
import { type Heartbeat, keepPresent } from './presence.ts'
import type { Session } from './session.ts'

/**
 * What a gateway says of who is there: of itself as long as it runs, of the PNEs beside it as long as they say so. PNEs are
 * heard with the server or without; the server is told when it can be.
 */
export interface GatewayPresence {
  /** It is attached to this Personal Network, now or again. */
  attached(network: NetworkName): void
  detached(network: NetworkName): void
  /** A PNE says how it is. Answers how long that holds unless it says so again. */
  heard(network: NetworkName, pne: Pne, state: Activity): { readonly holdsMs: number }
  stop(): void
}

interface Place {
  readonly heartbeat: Heartbeat
  readonly beside: Map<string, { readonly pne: Pne; readonly state: Activity; readonly heardMs: number }>
  cancelBeat: Cancel | undefined
}

/** A device says again that it is there before this is over. */
const holdsMs = 60_000
/** What is said at once goes to the server at once. */
const gatherMs = 200
/** Devices in one Personal Network of which it says so; of more, those heard last. */
const maxBeside = 1_024

export function createGatewayPresence(session: Session, clock: Clock, gatewayId: string): GatewayPresence {
  const places = new Map<string, Place>()

  function heardLately(beside: Place['beside']) {
    const nowMs = clock.elapsed()
    for (const [key, { heardMs }] of beside) if (nowMs - heardMs >= holdsMs) beside.delete(key)
    return [...beside.values()].map(({ pne, state }) => ({ ...pne, state }))
  }

  function begin(network: NetworkName): Place {
    const beside: Place['beside'] = new Map()
    return {
      beside,
      cancelBeat: undefined,
      heartbeat: keepPresent(session, clock, {
        network,
        gatewayId,
        now: () => ({ state: 'active', pnes: heardLately(beside) }),
      }),
    }
  }

  function end(place: Place | undefined): void {
    place?.cancelBeat?.()
    place?.heartbeat.stop()
  }

  return {
    attached(network) {
      const key = networkKey(network)
      if (!places.has(key)) places.set(key, begin(network))
    },

    detached(network) {
      const key = networkKey(network)
      end(places.get(key))
      places.delete(key)
    },

    heard(network, { operator, pneId }, state) {
      const place = places.get(networkKey(network))
      if (!place) return { holdsMs }
      const key = pneKey({ operator, pneId })
      place.beside.delete(key)
      place.beside.set(key, { pne: { operator, pneId }, state, heardMs: clock.elapsed() })
      const [oldest] = place.beside.keys()
      if (place.beside.size > maxBeside && oldest !== undefined) place.beside.delete(oldest)
      place.cancelBeat ??= clock.after(gatherMs, () => {
        place.cancelBeat = undefined
        void place.heartbeat.beat()
      })
      return { holdsMs }
    },

    stop() {
      for (const place of places.values()) end(place)
      places.clear()
    },
  }
}
