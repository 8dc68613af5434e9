import type { Clock } from '../ports/clock.ts'
import type { ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { Mentions } from './mentions.ts'

/** What one says of the other's last beat: the time that stood in it, and how long ago it came. */
export interface Echo {
  /** Milliseconds since 1970, by the clock of whoever sent the beat. */
  readonly clockMs: number
  /** By the monotonic clock of whoever sends the echo. */
  readonly heldMs: number
}

/** How far a peer's clock is off from ours. */
export interface ClockOffset {
  /** The peer's clock minus ours, milliseconds. */
  readonly skewMs: number
  /** The true offset is at most so far from that. Left out: not measured yet; the peer's clock may be ahead by what its word took. */
  readonly uncertaintyMs?: number
}

/** A measurement, and when it was made by the monotonic clock. */
export interface Measured {
  readonly skewMs: number
  readonly uncertaintyMs: number
  readonly atMs: number
}

/** Two clocks may drift apart by so much of the time that passes: quartz by less, for each of them (RFC 5905 takes 15 ppm). */
const maxDrift = 1e-4
/** Both clocks are read in whole milliseconds. */
const grainMs = 1
/** Beats of ours whose echo may still come. */
const maxAwaited = 8

/**
 * Which of two measurements to go by: the surer one, with what the earlier has lost since by drift. Two that cannot both be true
 * say that one of the clocks was set: then the later.
 */
export function surer(before: Measured, next: Measured): Measured {
  const aged = before.uncertaintyMs + (next.atMs - before.atMs) * maxDrift
  const isSet = Math.abs(next.skewMs - before.skewMs) > aged + next.uncertaintyMs
  return isSet || next.uncertaintyMs <= aged ? next : { ...before, uncertaintyMs: aged, atMs: next.atMs }
}

/**
 * How far the clock of one peer is off from ours, and an alarm when that is surely more than is borne.
 *
 * Each beat carries its sender's time, and echoes that of the other's last beat with how long that was held. So whoever gets an
 * echo knows how long both ways took together, by its own monotonic clock, whatever the wall clocks did meanwhile. The peer's time
 * has come in between: half of that way ago, give or take the other half (as in NTP, RFC 5905 section 8).
 */
export class PeerClock {
  readonly #peer: ServerId
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #mentions: Mentions
  readonly #maxSkewMs: number
  /** When our last beats were sent, by the monotonic clock, under the time that they said. */
  readonly #sent = new Map<number, number>()
  #heard: { readonly clockMs: number; readonly atMs: number } | undefined
  #told: number | undefined
  #measured: Measured | undefined
  #isOff = false

  constructor(peer: ServerId, clock: Clock, telemetry: Telemetry, maxSkewMs: number) {
    this.#peer = peer
    this.#clock = clock
    this.#telemetry = telemetry
    this.#mentions = new Mentions(telemetry, clock)
    this.#maxSkewMs = maxSkewMs
  }

  /** `undefined` until the peer has said its time. */
  get offset(): ClockOffset | undefined {
    if (this.#measured) return { skewMs: this.#measured.skewMs, uncertaintyMs: this.#measured.uncertaintyMs }
    return this.#told === undefined ? undefined : { skewMs: this.#told }
  }

  /** The peer has greeted, and said its time, milliseconds since 1970: what was measured before may be of another run. */
  greeted(clockMs: number): void {
    this.#sent.clear()
    this.#heard = undefined
    this.#measured = undefined
    this.#take(clockMs)
  }

  /** What a beat that is sent now says of time. */
  beat(): { readonly clock: number; readonly echo?: Echo } {
    const [elapsed, now] = [this.#clock.elapsed(), this.#clock.now()]
    this.#sent.set(now, elapsed)
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size <= maxAwaited) break
      this.#sent.delete(oldest)
    }
    const heard = this.#heard
    return { clock: now, ...(heard && { echo: { clockMs: heard.clockMs, heldMs: elapsed - heard.atMs } }) }
  }

  /** A beat of the peer has come. */
  heard(clockMs: number, echo: Echo | undefined): void {
    const atMs = this.#clock.elapsed()
    this.#heard = { clockMs, atMs }
    const sentMs = echo && this.#sent.get(echo.clockMs)
    if (echo && sentMs !== undefined) this.#measure(clockMs, echo.heldMs, atMs - sentMs)
    this.#take(clockMs)
  }

  /** @param answeredMs from our beat to its echo, the time that it was held included */
  #measure(clockMs: number, heldMs: number, answeredMs: number): void {
    const oneWayMs = Math.max(0, answeredMs - heldMs) / 2
    const uncertaintyMs = oneWayMs + (heldMs * maxDrift) / 2 + grainMs
    const measured = {
      skewMs: clockMs + oneWayMs - this.#clock.now(),
      uncertaintyMs,
      atMs: this.#clock.elapsed(),
    }
    this.#measured = this.#measured ? surer(this.#measured, measured) : measured
  }

  #take(clockMs: number): void {
    const clock = this.#clock
    this.#told = clockMs - clock.now()
    const { skewMs, uncertaintyMs = 0 } = this.offset ?? { skewMs: this.#told }
    const wasOff = this.#isOff
    this.#isOff = Math.abs(skewMs) - uncertaintyMs > this.#maxSkewMs
    if (wasOff || !this.#isOff) return
    this.#telemetry.count('cpns_clock_alarms_total')
    this.#mentions.log('error', 'peer.clock-skew', { peer: this.#peer, ...this.offset })
  }
}
