import type { LogId } from '../ports/names.ts'
import type { Held, Place } from './content.ts'
import type { Register } from './documents.ts'
import type { GuardedItem, History } from './guard.ts'
import type { KeyList } from './key-order.ts'
import { compareKeyIn, ItemWalk, isUnread, keyEnd, keyIn, keyStart, registerIn } from './update-items.ts'

/** What the items of one entry share. */
interface Stretch {
  readonly place: Place
  /** The bytes that they are read from; `undefined`: they were written here. */
  readonly bytes: Uint8Array | undefined
  /** Where the update begins in these bytes, and where it ends. */
  readonly at: number
  readonly end: number
}

/** Of each item: the clock of the first item of its key; in that one, the clock of the key's last; its stretch; where it lies there. */
const itemCells = 4
const lastCell = 1
const stretchCell = 2
const placeCell = 3
const itemsWhenGrown = 8

/*
 * Most documents in memory are one log with one entry, so a log takes no room before it needs some, and its first entry just what it
 * needs: an empty array takes 200 bytes, an empty map as much, and what has more than 64 bytes lies outside of V8's heap besides.
 */
const noItems = new Int32Array(0)
const noClocks = new Uint32Array(0)
const noBytes = new Uint8Array(0)

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
  /** The first of its entries that is not read: there its server broke the rules that only its past shows. */
  #endsAt = Number.POSITIVE_INFINITY
  #clock = 0
  #items = noItems
  #stretches: Stretch[] = []
  /** Clocks of the first items of keys that were packed, in order of key. */
  #packed: Uint32Array = noClocks
  /** The same of all other keys. */
  #firsts: Map<string, number> | undefined
  /** Keys of the items that were written here, and what those of them say that are the last of their key. */
  readonly #keys: string[] = []
  readonly #written: (Held | undefined)[] = []
  #chunk = noBytes
  #chunkUsed = 0
  /** The server of the register that was read last: most are of the same one. */
  #server: Register['server'] | undefined

  constructor(log: LogId, clientId: number, copiedTo = -1) {
    this.log = log
    this.clientId = clientId
    this.#copiedTo = copiedTo
  }

  /** Whether all that it says counts. */
  get countsWhole(): boolean {
    return this.#copiedTo < 0
  }

  /** Whether what its entry of this number says counts. */
  counts(seq: number): boolean {
    return seq > this.#copiedTo
  }

  /** Whether its entry of this number is not read, as its server had broken the rules by then. */
  hasEndedAt(seq: number): boolean {
    return seq >= this.#endsAt
  }

  /** Nothing is read from the entry of this number on. */
  endAt(seq: number): void {
    this.#endsAt = Math.min(seq, this.#endsAt)
    const stretch = this.#stretches.findIndex(({ place }) => place.seq >= seq)
    if (stretch < 0) return
    this.#stretches.length = stretch
    let clock = 0
    for (; clock < this.#clock && this.#stretchIndexAt(clock) < stretch; clock++)
      this.#items[itemCells * this.#firstAt(clock) + lastCell] = clock
    this.#clock = clock
  }

  /** The clock of its next item. */
  get clock(): number {
    return this.#clock
  }

  /** Whether all that it says was read, and nothing of it written here. */
  get isRead(): boolean {
    return this.#keys.length === 0
  }

  /** The updates that it consists of, in their order, and the entries that brought them. Of what was written here there are none. */
  *updates(): Generator<{ readonly update: Uint8Array; readonly place: Place }> {
    for (const { place, bytes, at, end } of this.#stretches) if (bytes) yield { update: bytes.subarray(at, end), place }
  }

  isNew(key: string): boolean {
    return this.#firstOf(key) === undefined
  }

  isLast(clock: number): boolean {
    return clock < this.#clock && this.lastOf(this.#firstAt(clock)) === clock
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

  /**
   * Adds to a list the keys of all items, none of which was packed yet or written here.
   * @param index of this log, by which the list knows it
   */
  listKeys(list: KeyList, index: number): void {
    for (let clock = 0; clock < this.#clock; clock++) {
      if (this.#firstAt(clock) !== clock) continue
      const { bytes, at } = this.#stretchAt(clock)
      if (!bytes) throw new RangeError(`Item ${clock} of log ${this.log} was not read.`)
      const item = at + this.#placeAt(clock)
      list.add(index, clock, bytes, keyStart(bytes, item), keyEnd(bytes, item))
    }
  }

  /** The clock of the key's last item. */
  clockOf(key: string): number | undefined {
    const first = this.#firstOf(key)
    return first === undefined ? undefined : this.lastOf(first)
  }

  /** The clock of the last item of the key whose first one is at this clock. */
  lastOf(first: number): number {
    return this.#items[itemCells * first + lastCell] as number
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
    if (last?.place !== held.place || last.bytes) this.#stretch({ place: held.place, bytes: undefined, at: 0, end: 0 })
    const first = this.#firstOf(key)
    if (first !== undefined) this.#letGo(this.lastOf(first))
    else this.#setFirst(key, this.#clock)
    this.#append(first ?? this.#clock, this.#keys.length)
    this.#keys.push(key)
    this.#written.push(held)
  }

  /**
   * Takes in the log's next entry as the store holds it. Whether its items continue the log is looked at as far as that shows in numbers;
   * a key that is said to be new, and is not, shows when the keys are put in order: see {@link endAt}.
   */
  load(update: Uint8Array, place: Place): void {
    if (this.hasEndedAt(place.seq) || update.length === 0) return
    if (!this.#loadAll(update, place)) this.endAt(place.seq)
  }

  /** Answers whether the items continue the log. */
  #loadAll(update: Uint8Array, place: Place): boolean {
    const walk = new ItemWalk(update)
    if (walk.clientId !== this.clientId || walk.clock !== this.#clock) return false
    place.registerBytes = update.length / walk.items
    this.begin(update, place)
    this.#reserve(walk.items)
    for (let item = 0; item < walk.items; item++) {
      walk.next()
      const { at, origin } = walk
      if (origin >= 0 && !this.isLast(origin)) return false
      this.#append(origin < 0 ? this.#clock : this.#firstAt(origin), at)
    }
    return true
  }

  /** The log's next items are read from this update, one after the other. */
  begin(update: Uint8Array, place: Place): void {
    const isLarge = update.length >= ownArrayBytes
    const at = isLarge ? 0 : this.#copy(update)
    this.#stretch({ place, bytes: isLarge ? update : this.#chunk, at, end: at + update.length })
  }

  /** Takes in the log's next item, which is read from the update that was begun. */
  read({ key, origin, at }: GuardedItem): Held {
    const clock = this.#clock
    if (key === undefined) {
      const first = this.#firstAt(origin)
      this.#letGo(this.lastOf(first))
      this.#append(first, at)
    } else {
      this.#setFirst(key, clock)
      this.#append(clock, at)
    }
    return new ReadItem(this, clock)
  }

  /**
   * Finds keys by search from now on, and lets go of what was set aside for more to be loaded.
   * @param firsts clocks of the items that are the first of their key, all of them, in order of key
   */
  pack(firsts: Uint32Array): void {
    this.#packed = firsts
    this.#firsts = undefined
    const cells = itemCells * this.#clock
    if (cells < this.#items.length) this.#items = this.#items.slice(0, cells)
  }

  /** The clock of the key's first item. */
  #firstOf(key: string): number | undefined {
    const first = this.#firsts?.get(key)
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

  #setFirst(key: string, clock: number): void {
    this.#firsts ??= new Map()
    this.#firsts.set(key, clock)
  }

  #stretch(next: Stretch): void {
    // An array that is pushed to has room for sixteen more at once.
    if (this.#stretches.length === 0) this.#stretches = [next]
    else this.#stretches.push(next)
  }

  #firstAt(clock: number): number {
    if (!(clock >= 0 && clock < this.#clock)) throw new RangeError(`Log ${this.log} has no item ${clock}.`)
    return this.#items[itemCells * clock] as number
  }

  #placeAt(clock: number): number {
    return this.#items[itemCells * clock + placeCell] as number
  }

  #stretchIndexAt(clock: number): number {
    return this.#items[itemCells * clock + stretchCell] as number
  }

  #stretchAt(clock: number): Stretch {
    const stretch = this.#stretches[this.#stretchIndexAt(clock)]
    if (!stretch || clock >= this.#clock) throw new RangeError(`Log ${this.log} has no item ${clock}.`)
    return stretch
  }

  #append(first: number, place: number): void {
    const cell = itemCells * this.#clock
    this.#reserve(1)
    this.#items[cell] = first
    this.#items[cell + stretchCell] = this.#stretches.length - 1
    this.#items[cell + placeCell] = place
    this.#items[itemCells * first + lastCell] = this.#clock
    this.#clock++
  }

  /** Has room for so many items more. */
  #reserve(count: number): void {
    const cells = itemCells * (this.#clock + count)
    if (cells <= this.#items.length) return
    const grown = this.#clock === 0 ? cells : itemCells * (this.#clock + (this.#clock >> 1) + itemsWhenGrown)
    const items = new Int32Array(Math.max(cells, grown))
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
      const isFirst = this.#chunk.length === 0
      const bytes = isFirst ? 0 : Math.min(largestChunkBytes, Math.max(smallestChunkBytes, 2 * this.#chunk.length))
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
