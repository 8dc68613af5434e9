import { hash } from 'node:crypto'
import type { Random } from '../ports/random.ts'

/** What a simulation is started with. The same seed and scenario give the same run, event by event. */
export type Seed = string | number

/**
 * The stream of randomness with this name: `rng(seed, 'net', from, to)`. Streams of other names are independent of it, so
 * one more draw in one of them shifts nothing in the others: a new kind of fault leaves the latencies as they were.
 */
export function rng(seed: Seed, ...name: readonly (string | number)[]): RandomStream {
  // JSON keeps ('a', 'b') and ('ab'), 1 and '1' apart.
  const words = hash('sha256', JSON.stringify([seed, ...name]), 'buffer')
  return new RandomStream(words.readInt32LE(0), words.readInt32LE(4), words.readInt32LE(8), words.readInt32LE(12))
}

/** Rounds after which sfc32's words depend on every bit of its seed (PractRand, 12). */
const warmUpRounds = 12

/** One stream: sfc32 (Doty-Humphrey, PractRand), 128 bits of state, the same on every machine. */
export class RandomStream implements Random {
  #a: number
  #b: number
  #c: number
  #counter: number

  constructor(a: number, b: number, c: number, counter: number) {
    this.#a = a
    this.#b = b
    this.#c = c
    this.#counter = counter
    for (let round = 0; round < warmUpRounds; round++) this.word()
  }

  /** Uniform in [0, 2^32), integral. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  fraction(): number {
    return this.word() / 2 ** 32
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 4) {
      const word = this.word()
      for (let offset = 0; offset < 4 && at + offset < length; offset++) bytes[at + offset] = word >>> (8 * offset)
    }
    return bytes
  }

  /** An integer in [0, end). */
  below(end: number): number {
    return Math.floor(this.fraction() * end)
  }

  /** True with this probability. Draws in any case. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** @throws {RangeError} when there is nothing to pick from. */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)]
    if (from.length === 0 || picked === undefined) throw new RangeError('There is nothing to pick from.')
    return picked
  }

  /** The same items in a random order (Fisher and Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items]
    const shuffled: T[] = []
    while (rest.length > 0) shuffled.push(...rest.splice(this.below(rest.length), 1))
    return shuffled
  }
}
