import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Ping } from '../session/attachment.ts'
import { type Bounds, common, firstPace, nextPace, type Pace } from './pace.ts'

/** A connection that takes part. */
export interface Beating {
  readonly bounds: Bounds
  ping(sign: { readonly everyMs: number; readonly idleMs: number; readonly timeoutMs: number }): Promise<Ping>
}

const answerMs = 10_000

/**
 * One schedule for all connections of a client: at each beat all of them say that they are there, so that a device with a radio
 * wakes it once. The interval is learned from all of them together, since all go through the same network.
 */
export class Heartbeats {
  readonly #clock: Clock
  readonly #links = new Set<Beating>()
  #pace: Pace | undefined
  #cancel: Cancel | undefined
  /** Whether a loss has been learned from since the last beat: what ends together has one cause. */
  #hasLost = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Now, milliseconds; `undefined` while there is no connection. */
  get everyMs(): number | undefined {
    return this.#links.size > 0 ? this.#pace?.everyMs : undefined
  }

  /** Returns the way to leave. */
  join(link: Beating): Cancel {
    this.#links.add(link)
    const bounds = this.#bounds()
    if (bounds) this.#pace ??= firstPace(bounds)
    if (!this.#cancel) this.#later()
    return () => {
      this.#links.delete(link)
      if (this.#links.size > 0) return
      this.#cancel?.()
      this.#cancel = undefined
    }
  }

  /** A connection ended without a word after it had been quiet for so long. */
  lost(idleMs: number): void {
    if (!this.#pace || this.#hasLost || idleMs < this.#pace.everyMs / 2) return
    this.#hasLost = true
    this.#learn('lost')
  }

  #bounds(): Bounds | undefined {
    return common([...this.#links].map(({ bounds }) => bounds))
  }

  #learn(outcome: 'held' | 'lost'): void {
    const bounds = this.#bounds()
    if (bounds && this.#pace) this.#pace = nextPace(this.#pace, outcome, bounds)
  }

  #later(): void {
    if (!this.#pace) return
    const cancel = this.#clock.after(this.#pace.everyMs, () => void this.#beat(cancel))
    this.#cancel = cancel
  }

  /** @param mine what has cancelled this beat is not this one any more: the connections have all left meanwhile */
  async #beat(mine: Cancel): Promise<void> {
    const bounds = this.#bounds()
    const pace = this.#pace
    if (!bounds || !pace) return
    this.#hasLost = false
    // The next beat is due by then at the latest, whatever this one finds out.
    const { everyMs } = nextPace(pace, 'held', bounds)
    const sign = { everyMs, idleMs: pace.everyMs / 2, timeoutMs: answerMs }
    const found = await Promise.all([...this.#links].map(link => link.ping(sign).catch(() => 'busy' as const)))
    if (found.includes('lost')) this.#learn('lost')
    else if (found.includes('held')) this.#learn('held')
    if (this.#cancel === mine) this.#later()
  }
}
