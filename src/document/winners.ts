import type { Held } from './content.ts'
import { inKeyOrder, KeyList, type KeyOrder } from './key-order.ts'
import type { LogContent } from './log-content.ts'
import { PackedRegisters } from './packed-registers.ts'
import { isLater } from './registers-view.ts'

/** Whether a register wins over the one that the key had. */
export function wins({ register, place }: Held, before: Held | undefined): boolean {
  if (!before || isLater(register, before.register)) return true
  return place.own && !before.place.own && !isLater(before.register, register)
}

/**
 * Puts in order what logs say that were just loaded, and answers what wins. A log that says twice of a key that it is new is not read
 * from the entry on that says so again.
 */
export function settled(logs: readonly LogContent[]): PackedRegisters {
  for (;;) {
    const loaded = new LoadedKeys(logs)
    if (loaded.endRepeating()) continue
    loaded.pack()
    return loaded.winners()
  }
}

/** The keys of some logs, in order; each as often as logs have written it. */
class LoadedKeys {
  readonly #logs: readonly LogContent[]
  readonly #keys: KeyList
  /** How many keys each log has written. */
  readonly #counts: readonly number[]
  readonly #sorted: KeyOrder

  constructor(logs: readonly LogContent[]) {
    this.#logs = logs
    this.#keys = new KeyList(logs.reduce((sum, { clock }) => sum + clock, 0))
    this.#counts = logs.map((log, index) => {
      const before = this.#keys.length
      log.listKeys(this.#keys, index)
      return this.#keys.length - before
    })
    this.#sorted = inKeyOrder(this.#keys)
  }

  /** Ends the logs that say of a key again that it is new; answers whether there were any. */
  endRepeating(): boolean {
    const ends = new Map<LogContent, number>()
    for (const [place, isRepeat] of this.#sorted.repeats.entries()) {
      if (isRepeat === 0 || this.#whoseAt(place) !== this.#whoseAt(place - 1)) continue
      const log = this.#logAt(place)
      const { seq } = log.entryOf(this.#clockAt(place))
      ends.set(log, Math.min(seq, ends.get(log) ?? seq))
    }
    for (const [log, seq] of ends) log.endAt(seq)
    return ends.size > 0
  }

  pack(): void {
    const packed = this.#counts.map(count => new Uint32Array(count))
    const used = new Uint32Array(packed.length)
    for (let place = 0; place < this.#keys.length; place++) {
      const log = this.#whoseAt(place)
      const at = used[log] as number
      ;(packed[log] as Uint32Array)[at] = this.#clockAt(place)
      used[log] = at + 1
    }
    for (const [index, log] of this.#logs.entries()) log.pack(packed[index] as Uint32Array)
  }

  winners(): PackedRegisters {
    const { repeats } = this.#sorted
    const which = new Uint16Array(this.#keys.length)
    const clocks = new Uint32Array(this.#keys.length)
    let count = 0
    for (let place = 0; place < repeats.length; ) {
      let end = place + 1
      while (repeats[end] === 1) end++
      const winner = this.#winnerOf(place, end)
      if (winner >= 0) {
        which[count] = this.#whoseAt(winner)
        clocks[count++] = this.#lastAt(winner)
      }
      place = end
    }
    const isAll = count === which.length
    return new PackedRegisters(
      this.#logs,
      isAll ? which : which.slice(0, count),
      isAll ? clocks : clocks.slice(0, count),
    )
  }

  /** Of places with one key that whose register wins; -1 if none counts. */
  #winnerOf(first: number, end: number): number {
    if (end === first + 1) return this.#countsAt(first) ? first : -1
    let winner = -1
    let best: Held | undefined
    for (let place = first; place < end; place++) {
      if (!this.#countsAt(place)) continue
      const held = this.#logAt(place).heldAt(this.#lastAt(place))
      if (!wins(held, best)) continue
      winner = place
      best = held
    }
    return winner
  }

  #countsAt(place: number): boolean {
    const log = this.#logAt(place)
    return log.countsWhole || log.counts(log.entryOf(this.#lastAt(place)).seq)
  }

  #lastAt(place: number): number {
    return this.#logAt(place).lastOf(this.#clockAt(place))
  }

  #clockAt(place: number): number {
    return this.#keys.clocks[this.#sorted.order[place] as number] as number
  }

  #logAt(place: number): LogContent {
    return this.#logs[this.#whoseAt(place)] as LogContent
  }

  /** The index of the log that has written the key at this place. */
  #whoseAt(place: number): number {
    return this.#keys.logs[this.#sorted.order[place] as number] as number
  }
}
