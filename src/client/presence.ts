import type { Pne } from '../inventory/fields.ts'
import {
  type Activity,
  type GatewayPresence,
  type PnePresence,
  type Presence,
  presenceChanged,
  presenceReport,
  presenceUnwatch,
  presenceWatch,
} from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import { RequestRefused } from './errors.ts'
import type { Session } from './session.ts'

export interface PresenceListener {
  /** Called when it is known for the first time, and with every change; with nobody in it while there is no connection. */
  changed(presence: Presence): void
  /** It can be watched no longer. Nothing comes after. */
  ended?(error: Error): void
}

/** Who of a Personal Network is there, live. */
export interface PresenceReader {
  readonly presence: Presence
  close(): void
}

const nobody: Presence = { pnes: [], gateways: [] }
/** After a refusal for the moment, or an answer that did not come. */
const retryMs = 2_000

/** Watches who of a Personal Network is there, over lost connections and other servers. */
export function followPresence(
  session: Session,
  clock: Clock,
  { home, pnId }: NetworkName,
  listener: PresenceListener,
): PresenceReader {
  let presence = nobody
  let isClosed = false
  let cancelRetry: Cancel = () => {}
  /** Another number for each connection: what an earlier one answers late is void. */
  let connection = 0

  const stopListening = session.listen({
    state(state) {
      connection += 1
      cancelRetry()
      if (state.kind === 'connected') void watch()
      else if (state.kind === 'closed') end(new Error(`The session is closed: ${state.why}`))
      else become(nobody)
    },
    notification(method, params) {
      if (method !== presenceChanged.method) return
      const changed = presenceChanged.params.safeParse(params)
      if (changed.success && changed.data.home === home && changed.data.pnId === pnId)
        become(merged(presence, changed.data))
    },
  })

  async function watch(): Promise<void> {
    const mine = connection
    try {
      const now = await session.call(presenceWatch, { home, pnId })
      if (mine === connection && !isClosed) become(now)
    } catch (error) {
      if (mine !== connection || isClosed) return
      // A server that knows of no such network may be about to learn of it.
      if (error instanceof RequestRefused && (error.status === 403 || error.status === 410)) end(error)
      else cancelRetry = clock.after(retryMs, () => void watch())
    }
  }

  function become(now: Presence): void {
    if (isClosed || (now === nobody && presence === nobody)) return
    presence = now
    listener.changed(presence)
  }

  function end(error: Error): void {
    if (isClosed) return
    finish()
    listener.ended?.(error)
  }

  function finish(): void {
    isClosed = true
    cancelRetry()
    stopListening()
  }

  if (session.state.kind === 'connected') void watch()
  return {
    get presence() {
      return presence
    },
    close() {
      if (isClosed) return
      finish()
      // Without it the server notices when the connection ends.
      if (session.state.kind === 'connected') session.call(presenceUnwatch, { home, pnId }).catch(() => {})
    },
  }
}

function merged(before: Presence, { pnes, gateways }: Presence): Presence {
  const pneKey = ({ operator, pneId }: PnePresence) => `${operator}/${pneId}`
  const gatewayKey = ({ operator, gatewayId }: GatewayPresence) => `${operator}/${gatewayId}`
  return {
    pnes: [...new Map([...before.pnes, ...pnes].map(each => [pneKey(each), each])).values()],
    gateways: [...new Map([...before.gateways, ...gateways].map(each => [gatewayKey(each), each])).values()],
  }
}

/** What is said at each beat. */
export interface Beat {
  readonly state: Activity
  /** Only of a gateway: the PNEs beside it that it has heard lately. */
  readonly pnes?: readonly (Pne & { readonly state: Activity })[]
}

export interface Heartbeat {
  /** Says it now: when something has changed. */
  beat(): Promise<void>
  /** Says nothing more. What was said ends by itself, or with the session. */
  stop(): void
}

export interface HeartbeatOptions {
  readonly network: NetworkName
  /** The caller is this gateway; without it, a PNE. */
  readonly gatewayId?: string
  readonly now: () => Beat
  /** PNEs that the server does not know beside this gateway: they are to register again. */
  readonly passedOver?: (pnes: readonly Pne[]) => void
  /** What was said was refused; unless the network is gone (410) it is said again at the next beat, maybe to another server. */
  readonly refused?: (error: RequestRefused) => void
}

/** Until the server has said how long a report holds. */
const firstBeatMs = 20_000

/** Says that a gateway with its PNEs, or a PNE, is there, as often as is needed, and anew on every connection. */
export function keepPresent(session: Session, clock: Clock, options: HeartbeatOptions): Heartbeat {
  const { network, gatewayId, now, passedOver, refused } = options
  let isStopped = false
  let everyMs = firstBeatMs
  let cancelNext: Cancel = () => {}

  const stopListening = session.listen({
    state(state) {
      if (state.kind === 'connected') void beat()
      if (state.kind === 'closed') stop()
    },
  })

  async function beat(): Promise<void> {
    cancelNext()
    if (isStopped) return
    // Whatever becomes of this one: another follows.
    cancelNext = clock.after(everyMs, () => void beat())
    if (session.state.kind !== 'connected') return
    const { state, pnes } = now()
    try {
      const params = { home: network.home, pnId: network.pnId, state, gatewayId, ...(pnes && { pnes: [...pnes] }) }
      const answer = await session.call(presenceReport, params)
      everyMs = answer.holdsMs / 3
      if (answer.passedOver.length > 0) passedOver?.(answer.passedOver)
    } catch (error) {
      if (!(error instanceof RequestRefused) || isStopped) return
      if (error.status === 410) stop()
      refused?.(error)
    }
  }

  function stop(): void {
    isStopped = true
    cancelNext()
    stopListening()
  }

  void beat()
  return { beat, stop }
}
