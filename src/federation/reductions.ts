import type { Clock } from '../ports/clock.ts'
import type { ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'

/*
 * What an overloaded server asks of the servers of other operators: to keep back a share of what they forward to it, for a while.
 * It is the loss algorithm of Diameter Overload Indication Conveyance (RFC 7683, sections 5 and 6.2): who sends keeps back that
 * share by chance, so that all who do keep back alike; and takes up all of it again when the time is over and nothing new was
 * said. Documents go on to be synchronised.
 */

/** OC-Reduction-Percentage and OC-Validity-Duration of RFC 7683. */
export interface Reduction {
  /** 1 to 100. */
  readonly percent: number
  /** From the moment that it is heard. */
  readonly validMs: number
}

/** Nobody can make others silent for longer than this without saying it again. */
export const longestReductionMs = 60_000

/** What each server has asked for last. */
export class Reductions {
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #random: Pick<Random, 'fraction'>
  readonly #asked = new Map<ServerId, { readonly percent: number; readonly untilMs: number }>()

  constructor(clock: Pick<Clock, 'elapsed'>, random: Pick<Random, 'fraction'>) {
    this.#clock = clock
    this.#random = random
  }

  /** A server has said what it wants, or that it wants nothing. */
  heard(server: ServerId, reduction: Reduction | undefined): void {
    if (!reduction || reduction.percent <= 0) return void this.#asked.delete(server)
    const validMs = Math.min(reduction.validMs, longestReductionMs)
    this.#asked.set(server, { percent: Math.min(reduction.percent, 100), untilMs: this.#clock.elapsed() + validMs })
  }

  /** Decides of one request: 0, it may go to that server; else how many milliseconds it is to be kept back. */
  keptBackMs(server: ServerId): number {
    const asked = this.#asked.get(server)
    if (!asked) return 0
    const leftMs = asked.untilMs - this.#clock.elapsed()
    if (leftMs <= 0) {
      this.#asked.delete(server)
      return 0
    }
    return this.#random.fraction() * 100 < asked.percent ? leftMs : 0
  }
}
