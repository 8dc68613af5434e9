import type { Clock } from '../ports/clock.ts'
import type { ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Mentions } from './mentions.ts'

/** How far the clock of one peer is off from ours, by what it says of it; an alarm is raised when that becomes too much. */
export class PeerClock {
  readonly #peer: ServerId
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #mentions: Mentions
  readonly #maxSkewMs: number
  #skewMs: number | undefined

  constructor(peer: ServerId, clock: Clock, telemetry: Telemetry, maxSkewMs: number) {
    this.#peer = peer
    this.#clock = clock
    this.#telemetry = telemetry
    this.#mentions = new Mentions(telemetry, clock)
    this.#maxSkewMs = maxSkewMs
  }

  /** The peer's clock minus ours, milliseconds; `undefined` until it was heard. */
  get skewMs(): number | undefined {
    return this.#skewMs
  }

  /** The peer says its time, milliseconds since 1970. */
  heard(peerMs: number): void {
    const clock = this.#clock
    const wasOff = Math.abs(this.#skewMs ?? 0) > this.#maxSkewMs
    this.#skewMs = peerMs - clock.now()
    if (wasOff || Math.abs(this.#skewMs) <= this.#maxSkewMs) return
    this.#telemetry.count('cpns_clock_alarms_total')
    this.#mentions.log('error', 'peer.clock-skew', { peer: this.#peer, skewMs: this.#skewMs })
  }
}
