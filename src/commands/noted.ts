import type { MemoryPlace } from './memory.ts'

/** A filter begins as small as this; each of its layers takes twice as many places as the one before. */
const firstPlaces = 256
const mostPlaces = 2 ** 20
/** So each layer takes one place in five thousand for noted that is not. */
const bitsPerPlace = 32
const bitsSet = 4

/**
 * Which places of a memory may hold something, so that nobody looks on the disk for what was never noted: nearly every command is
 * new. What was removed is forgotten with the next count of what is in the store. Before the first one is done, anything may be noted.
 */
export class Noted {
  /** What the last count found in the store. */
  #counted: Filter | undefined
  /** What was noted from one count to the next; since the latest began, last. What came before it was perhaps not stored yet when it looked. */
  #added = [new Filter()]

  mayHold(place: MemoryPlace): boolean {
    return !this.#counted || this.#added.some(added => added.has(place)) || this.#counted.has(place)
  }

  add(place: MemoryPlace): void {
    this.#added.at(-1)?.add(place)
  }

  /** Begins a count: it is to be told what is in the store, and when that was all. One that is never done changes nothing. */
  count(): { readonly found: (place: MemoryPlace) => void; readonly done: () => void } {
    const counted = new Filter()
    const since = new Filter()
    this.#added.push(since)
    return {
      found: place => counted.add(place),
      done: () => {
        this.#counted = counted
        this.#added.splice(0, this.#added.indexOf(since) - 1)
      },
    }
  }
}

/** A Bloom filter that grows, up to a bound; beyond that it only gets less sharp. */
class Filter {
  readonly #layers: Uint8Array[] = []
  #places = 0
  #room = 0

  add(place: MemoryPlace): void {
    if (this.#room === 0 && this.#places < mostPlaces) this.#grow()
    if (this.#room > 0) this.#room -= 1
    const layer = this.#layers.at(-1)
    if (!layer) return
    eachBit(place, layer, (at, bit) => {
      layer[at] = (layer[at] ?? 0) | bit
      return true
    })
  }

  has(place: MemoryPlace): boolean {
    return this.#layers.some(layer => eachBit(place, layer, (at, bit) => ((layer[at] ?? 0) & bit) > 0))
  }

  #grow(): void {
    this.#places = this.#places === 0 ? firstPlaces : 2 * this.#places
    this.#room = this.#places
    this.#layers.push(new Uint8Array((this.#places * bitsPerPlace) / 8))
  }
}

/** Whether it holds for each bit that stands for the place. The number of bits is a power of two, so an odd step comes to all of them. */
function eachBit(place: MemoryPlace, layer: Uint8Array, holds: (at: number, bit: number) => boolean): boolean {
  const mask = 8 * layer.length - 1
  let position = 0
  let step = 0
  for (let at = 0; at < place.length; at++) {
    position = (Math.imul(position, 31) + place.charCodeAt(at)) | 0
    step = (Math.imul(step, 131) ^ place.charCodeAt(at)) | 0
  }
  for (let count = 0; count < bitsSet; count++) {
    const bit = (position ^ (position >>> 16)) & mask
    if (!holds(bit >>> 3, 1 << (bit & 7))) return false
    position = (position + (step | 1)) | 0
  }
  return true
}
