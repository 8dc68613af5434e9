import type { LogId } from '../ports/names.ts'
import type { Held, Place } from './content.ts'
import type { Register } from './documents.ts'
import type { GuardedItem, History } from './guard.ts'
import { compareKeyIn, isUnread, keyIn, registerIn } from './update-items.ts'

/** What the items of one entry share. */
interface Stretch {
  readonly place: Place
  /** The bytes that they are read from; `undefined`: they were written here. */
  readonly bytes: Uint8Array | undefined
  /** Where the update begins in these bytes. */
  readonly at: number
}

/** Of each item: the clock of the first item of its key; in that one, the clock of the key's last; its stretch; where it lies there. */
const itemCells = 4
const lastCell = 1
const stretchCell = 2
const placeCell = 3
const itemsAtFirst = 8

/** Smaller updates are copied together: an array for each, and the entry around it, would take more than what is in it. */
const ownArrayBytes = 4_096
const smallestChunkBytes = 512
const largestChunkBytes = 16 * 1_024

/**
 * What one log says, and has said: for each key its last register, and at which clock that stands.
 *
 * What was read stays in the bytes that it came in, and no object is made of an item before somebody asks for it: some numbers say
 * where each lies. Keys are found in a map while they come in, and by search among sorted clocks once they are packed.
 */
export class LogContent implements History {
  readonly log: LogId
  /** The Yjs client that writes it. */
  readonly clientId: number
  /** The last entry that another log has copied, in whose place that one stands: up to there this one counts for nothing. */
  readonly #copiedTo: number
  /** Its server broke the rules that only its past shows: nothing after that is read. */
  ended = false
  #clock = 0
  #items = new Int32Array(itemCells * itemsAtFirst)
  readonly #stretches: Stretch[] = []
  /** Clocks of the first items of keys that were packed, in order of key. */
  #packed = new Uint32Array(0)
  /** The same of all other keys. */
  #firsts = new Map<string, number>()
  /** Keys of the items that were written here, and what those of them say that are the last of their key. */
  readonly #keys: string[] = []
  readonly #written: (Held | undefined)[] = []
  #chunk = new Uint8Array(0)
  #chunkUsed = 0
  /** The server of the register that was read last: most are of the same one. */
  #server: Register['server'] | undefined

  constructor(log: LogId, clientId: number, copiedTo = -1) {
    this.log = log
    this.clientId = clientId
    this.#copiedTo = copiedTo
  }

  /** Whether what its entry of this number says counts. */
  counts(seq: number): boolean {
    return seq > this.#copiedTo
  }

  /** The clock of its next item. */
  get clock(): number {
    return this.#clock
  }

  isNew(key: string): boolean {
    return this.#firstOf(key) === undefined
  }

  isLast(clock: number): boolean {
    return clock < this.#clock && this.#lastSince(this.#firstAt(clock)) === clock
  }

  /** The key of the item at this clock. @throws {RangeError} when there is none */
  keyAt(clock: number): string {
    const first = this.#firstAt(clock)
    const { bytes, at } = this.#stretchAt(first)
    const place = this.#placeAt(first)
    return bytes ? keyIn(bytes, at + place) : (this.#keys[place] as string)
  }

  /** Negative, zero or positive as the key of the item at this clock comes before a text, is equal to it or comes after it. */
  compareKeyAt(clock: number, text: string): number {
    const first = this.#firstAt(clock)
    const { bytes, at } = this.#stretchAt(first)
    const place = this.#placeAt(first)
    return bytes ? compareKeyIn(bytes, at + place, text) : compareTexts(this.#keys[place] as string, text)
  }

  /** The keys that were not packed: all, before {@link pack}. */
  keys(): Iterable<string> {
    return this.#firsts.keys()
  }

  /** The clock of the key's last item. */
  clockOf(key: string): number | undefined {
    const first = this.#firstOf(key)
    return first === undefined ? undefined : this.#lastSince(first)
  }

  /** What the log says of the key, if that counts. */
  get(key: string): Held | undefined {
    const clock = this.clockOf(key)
    return clock === undefined || !this.counts(this.entryOf(clock).seq) ? undefined : this.heldAt(clock)
  }

  /** What the item at this clock says. @throws {RangeError} when there is none, or it was written here and is not the last of its key */
  heldAt(clock: number): Held {
    const held = this.#stretchAt(clock).bytes ? new ReadItem(this, clock) : this.#written[this.#placeAt(clock)]
    if (!held) throw new RangeError(`Log ${this.log} does not say any more what item ${clock} said.`)
    return held
  }

  /** The entry that brought the item at this clock. */
  entryOf(clock: number): Place {
    return this.#stretchAt(clock).place
  }

  /** The register of an item that was read. @throws {RangeError} when it was written here */
  registerAt(clock: number): Register {
    const { bytes, at } = this.#stretchAt(clock)
    if (!bytes) throw new RangeError(`Item ${clock} of log ${this.log} was not read.`)
    const register = registerIn(bytes, at + this.#placeAt(clock), this.#server)
    this.#server = register.server
    return register
  }

  /** Takes in the log's next item, which was written here. */
  add(key: string, held: Held): void {
    const last = this.#stretches.at(-1)
    if (last?.place !== held.place || last.bytes) this.#stretches.push({ place: held.place, bytes: undefined, at: 0 })
    const first = this.#firstOf(key)
    if (first !== undefined) this.#letGo(this.#lastSince(first))
    else this.#firsts.set(key, this.#clock)
    this.#append(first ?? this.#clock, this.#keys.length)
    this.#keys.push(key)
    this.#written.push(held)
  }

  /** The log's next items are read from this update, one after the other. */
  begin(update: Uint8Array, place: Place): void {
    const isLarge = update.length >= ownArrayBytes
    const at = isLarge ? 0 : this.#copy(update)
    this.#stretches.push({ place, bytes: isLarge ? update : this.#chunk, at })
  }

  /** Takes in the log's next item, which is read from the update that was begun. */
  read({ key, origin, at }: GuardedItem): Held {
    const clock = this.#clock
    if (key === undefined) {
      const first = this.#firstAt(origin)
      this.#letGo(this.#lastSince(first))
      this.#append(first, at)
    } else {
      this.#firsts.set(key, clock)
      this.#append(clock, at)
    }
    return new ReadItem(this, clock)
  }

  /**
   * Lets go of the keys as texts, once what the store holds was read.
   * @param keys all keys of the document, in order
   */
  pack(keys: readonly string[]): void {
    if (this.#packed.length > 0) return
    const firsts = this.#firsts
    const hasAll = firsts.size === keys.length && this.counts(0)
    const own = hasAll ? keys : [...firsts.keys()].sort()
    this.#packed = Uint32Array.from(own, key => firsts.get(key) as number)
    this.#firsts = new Map()
    this.#items = this.#items.slice(0, itemCells * this.#clock)
  }

  /** The clock of the key's first item. */
  #firstOf(key: string): number | undefined {
    const first = this.#firsts.get(key)
    if (first !== undefined || this.#packed.length === 0) return first
    return this.#packedFirstOf(key)
  }

  #packedFirstOf(key: string): number | undefined {
    let low = 0
    let high = this.#packed.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const first = this.#packed[middle] as number
      const order = this.compareKeyAt(first, key)
      if (order === 0) return first
      if (order < 0) low = middle + 1
      else high = middle
    }
    return undefined
  }

  #firstAt(clock: number): number {
    if (!(clock >= 0 && clock < this.#clock)) throw new RangeError(`Log ${this.log} has no item ${clock}.`)
    return this.#items[itemCells * clock] as number
  }

  #lastSince(first: number): number {
    return this.#items[itemCells * first + lastCell] as number
  }

  #placeAt(clock: number): number {
    return this.#items[itemCells * clock + placeCell] as number
  }

  #stretchAt(clock: number): Stretch {
    const stretch = this.#stretches[this.#items[itemCells * clock + stretchCell] as number]
    if (!stretch || clock >= this.#clock) throw new RangeError(`Log ${this.log} has no item ${clock}.`)
    return stretch
  }

  #append(first: number, place: number): void {
    const cell = itemCells * this.#clock
    if (cell === this.#items.length) this.#grow()
    this.#items[cell] = first
    this.#items[cell + stretchCell] = this.#stretches.length - 1
    this.#items[cell + placeCell] = place
    this.#items[itemCells * first + lastCell] = this.#clock
    this.#clock++
  }

  #grow(): void {
    const items = new Int32Array(itemCells * (this.#clock + (this.#clock >> 1) + itemsAtFirst))
    items.set(this.#items)
    this.#items = items
  }

  /** What an item said that is not the last of its key any more. */
  #letGo(clock: number): void {
    if (this.#written.length > 0 && !this.#stretchAt(clock).bytes) this.#written[this.#placeAt(clock)] = undefined
  }

  /** Copies an update behind others; answers where it begins in the chunk. */
  #copy(update: Uint8Array): number {
    if (this.#chunkUsed + update.length > this.#chunk.length) {
      const bytes = Math.min(largestChunkBytes, Math.max(smallestChunkBytes, 2 * this.#chunk.length))
      this.#chunk = new Uint8Array(Math.max(bytes, update.length))
      this.#chunkUsed = 0
    }
    const at = this.#chunkUsed
    this.#chunk.set(update, at)
    this.#chunkUsed += update.length
    return at
  }
}

/** What an item says that was read: decoded when it is asked for, and kept then if that is no long text. */
class ReadItem implements Held {
  readonly #log: LogContent
  readonly #clock: number
  #register: Register | undefined

  constructor(log: LogContent, clock: number) {
    this.#log = log
    this.#clock = clock
  }

  get register(): Register {
    if (this.#register) return this.#register
    const register = this.#log.registerAt(this.#clock)
    if (!isUnread(register)) this.#register = register
    return register
  }

  get place(): Place {
    return this.#log.entryOf(this.#clock)
  }
}

const compareTexts = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)
