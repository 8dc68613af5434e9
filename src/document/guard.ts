import { maxJsonDepth, maxStamp } from './registers-view.ts'
import { any, Refused, refuse as refuseWith, type Steps, StrictReader, type Unreadable } from './strict-reader.ts'

/*
 * The guard: whether a Yjs update of another server's log may be stored, and later given to Yjs.
 *
 * Yjs trusts its input. An update may claim millions of items, name other clients and roots, point forward, nest until the
 * stack ends, or stay pending for ever; each of that costs everybody who holds the document. So nothing passes but what a
 * server writes that sets each of some registers once. The update is Yjs V1, of one client, the log's, and holds
 *
 *   items   n ≥ 1, from the log's next clock on, each one ContentAny of length 1: [stamp, server, value], value JSON; either
 *           the first of its key, naming the log's root and the key, or the next of a key, naming as origin
 *           the item that it overwrites, which an earlier update wrote; no key twice, no origin twice
 *   deletes exactly the items overwritten, as sorted ranges that do not touch
 *
 * in one encoding: shortest numbers, valid UTF-8, nothing left over. ContentDeleted is refused too, which Yjs writes where one
 * transaction sets a key twice: a commit never does, and without it every item is one clock long and no item is ever split.
 *
 * Why what passes is harmless to `applyUpdate`, given that all earlier updates of the log passed and were applied:
 *
 * - It cannot throw: every byte was read here by the rules that lib0 reads it by, strings are valid for its fatal UTF-8
 *   decoder, recursion ends at depth 17, and every origin lies below the update's first clock, so its item is there.
 * - Nothing stays pending: items begin at the clock that Yjs expects next, name no other client, and delete what exists.
 * - No other root or log is touched: an item lies in the root it names, or in that of its origin, which is of the same log.
 * - It allocates no more than in proportion to its bytes: each item that the count claims has been found.
 *
 * And the time? In its own root a log meets no other client, so the scan for concurrent items ends at its first step. But
 * Yjs walks the whole history of a key whenever an item claims to be its first. Bytes and clock cannot show that a key is
 * new; only the log's past can. A replica does not keep that past decoded, and must not judge by what it happens to have in
 * memory: it would refuse what its neighbour keeps. So the guard is asked twice. When an entry comes in, without `history`: the
 * answer is the same at every server. And before it is read, with the `history` that its log then is: the
 * first update that does not continue it ends the log for readers. That too is the same everywhere, as it follows from the
 * log alone. (Of a log that is read from the store, whose updates have all been asked about when they came in, nothing but this is
 * looked at again, for all of them together: see `LogContent.load` and `settled`.) Then every item is the first of its key or follows the last, and takes Yjs constant steps and a binary search
 * for its origin; once it is applied, `keepApart` sees to it that no later update makes Yjs join or move what is there.
 */

export interface GuardedLog {
  /** The log's id, which names its root map. ASCII. */
  readonly root: string
  /** The Yjs clientID made from it. */
  readonly clientId: number
  /** The clock that the log's next item must have. */
  readonly nextClock: number
  /** Default {@link maxUpdateBytes}. */
  readonly maxBytes?: number
  /** What the log has written before; given when the update is about to be applied. */
  readonly history?: History
}

/** The past of a log, as somebody knows it who has read all its updates so far. */
export interface History {
  /** Whether the log has never written the key. */
  isNew(key: string): boolean
  /** Whether the item at this clock is the last of its key. */
  isLast(clock: number): boolean
}

/** One item of an update, as far as one has to know it to take it in. */
export interface GuardedItem {
  /** `undefined`: the key of the item at `origin`. */
  readonly key: string | undefined
  /** The clock of the item that it overwrites. */
  readonly origin: number
  /** Where it begins in the update. */
  readonly at: number
}

export type GuardAnswer =
  | { readonly ok: true; readonly nextClock: number }
  | {
      readonly ok: false
      readonly reason: GuardRefusal
      /** Where in the update it was found. */
      readonly at: number
    }

export type GuardRefusal =
  | Unreadable
  | 'clock is not the next'
  | 'content is not ContentAny of length 1'
  | 'deletes are not sorted'
  | 'deletes nothing'
  | 'deletes what it does not overwrite'
  | 'does not delete what it overwrites'
  | 'has bytes left over'
  | 'has no items'
  | 'is not after the last item of its key'
  | 'is not in the root of the log'
  | 'is not the first item of its key'
  | 'is too large'
  | 'key is not 1 to 1024 bytes'
  | 'of another client'
  | 'of several clients'
  | 'origin is not of an earlier update'
  | 'register is not [stamp, server, value]'
  | 'server is not 52 bytes'
  | 'stamp is no time'
  | 'writes a key twice'

export const maxUpdateBytes = 256 * 1024
export const maxKeyBytes = 1_024
/** The PeerId of an Ed25519 key, which is always so long. It also keeps an item's memory in proportion to its bytes. */
const serverBytes = 52

/**
 * Judges one update of a log, as said above; an entry without an update is not asked about. Never throws.
 * @param found gets the items of an update that is about to be applied; what they are is good only if it passes
 */
export function guardUpdate(
  update: Uint8Array,
  log: GuardedLog,
  steps: Steps = { taken: 0 },
  found?: GuardedItem[],
): GuardAnswer {
  const pass = new Pass(update, log, steps, found)
  try {
    return { ok: true, nextClock: pass.update() }
  } catch (refused) {
    if (!(refused instanceof Refused)) throw refused
    return { ok: false, reason: refused.reason, at: pass.at }
  }
}

const refuse: (reason: GuardRefusal) => never = refuseWith

/** Info bytes of a map's item: ContentAny in the low five bits, then "has a key", "has a right origin", "has an origin". */
export const firstOfKey = 0b001_01000
export const nextOfKey = 0b101_01000
/** Before the name of a root. */
export const namedRoot = 1

/** One pass over one update. Each call of `refuse` is a rule, and has an attack in the corpus that only it stops. */
class Pass {
  readonly #reader: StrictReader
  readonly #bytes: number
  readonly #log: GuardedLog
  readonly #steps: Steps
  readonly #found: GuardedItem[] | undefined
  readonly #keys = new Set<string>()
  /** Clocks of the items overwritten; the delete set takes them out again. */
  readonly #overwritten = new Set<number>()

  constructor(bytes: Uint8Array, log: GuardedLog, steps: Steps, found: GuardedItem[] | undefined) {
    this.#reader = new StrictReader(bytes, steps)
    this.#bytes = bytes.length
    this.#log = log
    this.#steps = steps
    this.#found = found
  }

  /** Where the pass stands. */
  get at(): number {
    return this.#reader.at
  }

  /** Answers the clock after the update's last item. */
  update(): number {
    const { maxBytes = maxUpdateBytes, nextClock } = this.#log
    if (this.#bytes > maxBytes) refuse('is too large')
    if (this.#reader.count() !== 1) refuse('of several clients')
    const items = this.#reader.count()
    if (items === 0) refuse('has no items')
    this.#ownClient()
    if (this.#reader.count() !== nextClock) refuse('clock is not the next')
    for (let item = 0; item < items; item++) this.#item()
    this.#deletes()
    if (this.at !== this.#bytes) refuse('has bytes left over')
    return nextClock + items
  }

  #ownClient(): void {
    if (this.#reader.count() !== this.#log.clientId) refuse('of another client')
  }

  #item(): void {
    const { at } = this
    const info = this.#reader.byte()
    let key: string | undefined
    let origin = -1
    if (info === firstOfKey) key = this.#key()
    else if (info === nextOfKey) origin = this.#origin()
    else refuse('content is not ContentAny of length 1')
    if (this.#reader.count() !== 1) refuse('content is not ContentAny of length 1')
    this.#register()
    this.#found?.push({ key, origin, at })
  }

  #key(): string {
    if (this.#reader.count() !== namedRoot) refuse('is not in the root of the log')
    if (!this.#reader.reads(this.#log.root, this.#reader.text())) refuse('is not in the root of the log')
    const from = this.#reader.name()
    if (this.at === from || this.at - from > maxKeyBytes) refuse('key is not 1 to 1024 bytes')
    const key = this.#reader.decoded(from)
    if (this.#keys.has(key)) refuse('writes a key twice')
    if (this.#log.history?.isNew(key) === false) refuse('is not the first item of its key')
    this.#keys.add(key)
    return key
  }

  #origin(): number {
    this.#ownClient()
    const origin = this.#reader.count()
    if (origin >= this.#log.nextClock) refuse('origin is not of an earlier update')
    if (this.#overwritten.has(origin)) refuse('writes a key twice')
    if (this.#log.history?.isLast(origin) === false) refuse('is not after the last item of its key')
    this.#overwritten.add(origin)
    return origin
  }

  #register(): void {
    if (this.#reader.byte() !== any.array || this.#reader.count() !== 3)
      refuse('register is not [stamp, server, value]')
    const stamp = this.#reader.number(this.#reader.byte())
    if (!(Number.isSafeInteger(stamp) && stamp >= 0 && stamp <= maxStamp)) refuse('stamp is no time')
    if (this.#reader.byte() !== any.text) refuse('register is not [stamp, server, value]')
    const from = this.#reader.text()
    if (this.at - from !== serverBytes) refuse('server is not 52 bytes')
    this.#reader.json(maxJsonDepth)
  }

  #deletes(): void {
    const clients = this.#reader.count()
    if (clients > 1) refuse('of several clients')
    if (clients === 1) this.#ranges()
    if (this.#overwritten.size > 0) refuse('does not delete what it overwrites')
  }

  #ranges(): void {
    this.#ownClient()
    const ranges = this.#reader.count()
    if (ranges === 0) refuse('deletes nothing')
    let end = -1
    for (let range = 0; range < ranges; range++) {
      const from = this.#reader.count()
      if (from <= end) refuse('deletes are not sorted')
      const length = this.#reader.count()
      if (length === 0) refuse('deletes nothing')
      end = from + length
      for (let clock = from; clock < end; clock++) this.#delete(clock)
    }
  }

  #delete(clock: number): void {
    this.#steps.taken += 1
    if (!this.#overwritten.delete(clock)) refuse('deletes what it does not overwrite')
  }
}
