import type { Held } from './content.ts'
import type { Register, Registers } from './documents.ts'
import { lookup, type OrderedMap, put, withPrefix } from './ordered-map.ts'
import type { PackedRegisters } from './packed-registers.ts'
import { plain } from './update-items.ts'

type Entry = readonly [key: string, held: Held]

/**
 * The winning registers of a document at one moment, as mutations and readers see them: what was read from the store, and over
 * it what has come since. It never changes; {@link with} gives another one.
 */
export class HeldView implements Registers {
  static readonly empty = new HeldView(undefined, undefined)
  readonly #stored: PackedRegisters | undefined
  readonly #since: OrderedMap<Held>

  private constructor(stored: PackedRegisters | undefined, since: OrderedMap<Held>) {
    this.#stored = stored
    this.#since = since
  }

  static of(stored: PackedRegisters): HeldView {
    return new HeldView(stored, undefined)
  }

  get(key: string): Register | undefined {
    const held = this.held(key)
    return held && plain(held.register)
  }

  *entries(prefix = '', from = prefix): Generator<readonly [key: string, register: Register]> {
    for (const [key, held] of this.heldWith(prefix, from)) yield [key, plain(held.register)]
  }

  held(key: string): Held | undefined {
    return lookup(this.#since, key) ?? this.#stored?.get(key)
  }

  /** Registers whose key starts with `prefix` and does not come before `from`, in order of key. */
  heldWith(prefix: string, from = prefix): Iterable<Entry> {
    if (!this.#stored) return withPrefix(this.#since, prefix, from)
    if (!this.#since) return this.#stored.withPrefix(prefix, from)
    return overlaid(this.#stored.withPrefix(prefix, from), withPrefix(this.#since, prefix, from))
  }

  /** The view with `key` set to `held`. */
  with(key: string, held: Held): HeldView {
    return new HeldView(this.#stored, put(this.#since, key, held))
  }
}

/** Two lists in order of key as one, in which those of the second stand in the place of those of the first. */
function* overlaid(below: Generator<Entry>, above: Generator<Entry>): Generator<Entry> {
  let under = below.next()
  for (const entry of above) {
    for (; !under.done && under.value[0] < entry[0]; under = below.next()) yield under.value
    if (!under.done && under.value[0] === entry[0]) under = below.next()
    yield entry
  }
  for (; !under.done; under = below.next()) yield under.value
}
