import { applyUpdate, Doc, encodeStateAsUpdate, type Map as RootMap, type Transaction, transact } from 'yjs'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { Register, Registers } from './documents.ts'
import { guardUpdate } from './guard.ts'
import { historyOf, keepApart } from './history.ts'
import { clientIdOf } from './log.ts'
import { lookup, type OrderedMap, put, withPrefix } from './ordered-map.ts'
import { asRegister, isLater } from './registers-view.ts'

/** Where registers lie: the entry that brought them. All registers of one entry share it. */
export interface Place {
  readonly log: LogId
  readonly seq: number
  /** Whether the log is one of this server's. */
  readonly own: boolean
  /** What one register of the entry weighs: the update's bytes, shared out evenly. */
  registerBytes: number
}

/** The winning register of a key, with the place it was read from. */
export interface Held {
  readonly register: Register
  readonly place: Place
}

export type HeldRegisters = OrderedMap<Held | undefined>

/** One log, as far as the content goes. */
interface ContentLog {
  readonly log: LogId
  readonly clientId: number
  readonly map: RootMap<unknown>
  /** The clock of its next item. */
  clock: number
  /** Its server broke the rules that only its past shows: nothing after that is read. */
  ended: boolean
}

/** An entry as far as its content goes. */
export interface ContentEntry {
  readonly log: LogId
  readonly seq: number
  readonly update: Uint8Array
}

/**
 * The content of one document in memory: the Y.Doc, and the winning register of every key, kept up to date with work in
 * proportion to what changes.
 *
 * It also knows what of this server's logs is live: the bytes of registers there that no later register outdates, anywhere.
 * Of two equal registers the one in this server's log counts as the winner: were each of two servers to take the other's
 * for the one that stays, both would leave it out of their next copies.
 */
export class Content {
  readonly #doc: Doc
  readonly #crypto: Pick<Crypto, 'sha256'>
  readonly #logs = new Map<LogId, ContentLog>()
  #held: HeldRegisters
  #ownBytes = 0
  #ownLiveBytes = 0
  #written: Uint8Array | undefined
  #listens = false

  constructor(document: DocumentId, crypto: Pick<Crypto, 'sha256'>) {
    this.#crypto = crypto
    this.#doc = new Doc({ guid: document })
    // Yjs has drawn one at random. Nothing is written under this one either: each write sets its log's.
    this.#doc.clientID = 0
  }

  /** The winners now; the map never changes. */
  get held(): HeldRegisters {
    return this.#held
  }

  /** Update bytes in this server's logs that hold live registers. */
  get ownLiveBytes(): number {
    return this.#ownLiveBytes
  }

  /** Update bytes in this server's logs that hold registers with a later one somewhere. */
  get ownGarbageBytes(): number {
    return this.#ownBytes - this.#ownLiveBytes
  }

  /**
   * Takes in an entry that passed the guard, or was written here; entries of one log come in their order. Answers whether
   * it counts: the guard looks once more, now that the log's past is at hand, and may end the log. Every replica ends it
   * at the same entry.
   */
  apply({ log, seq, update }: ContentEntry, own: boolean): boolean {
    const at = this.#log(log)
    if (own) this.#ownBytes += update.length
    if (update.length === 0) return !at.ended
    const from = at.clock
    if (!this.#mayFollow(update, at)) return false
    const place = { log, seq, own, registerBytes: 0 }
    transact(
      this.#doc,
      transaction => {
        applyUpdate(this.#doc, update)
        const changed: ReadonlyMap<unknown, ReadonlySet<string | null>> = transaction.changed
        this.#settle(changed.get(at.map) ?? [], at.map, place, update.length)
      },
      undefined,
      false,
    )
    if (!own) keepApart(this.#doc, at, from)
    return true
  }

  /**
   * Writes registers into a log of this server, each later than what its key holds, and answers the Yjs update that says so.
   * @param place of the entry that the update will go into
   */
  write(changes: ReadonlyMap<string, Held>, held: HeldRegisters, place: Place): Uint8Array {
    const at = this.#log(place.log)
    this.#listen()
    this.#doc.clientID = at.clientId
    transact(this.#doc, () => {
      for (const [key, { register }] of changes) at.map.set(key, [register.stamp, register.server, register.value])
    })
    at.clock += changes.size
    const update = this.#written
    this.#written = undefined
    if (update === undefined) throw new Error('Yjs made no update of a write.')
    place.registerBytes = update.length / changes.size
    this.#ownBytes += update.length
    this.#ownLiveBytes += update.length
    for (const key of changes.keys()) this.#weigh(lookup(this.#held, key), -1)
    this.#held = held
    return update
  }

  /** What the document holds beyond a Yjs state vector (empty: everything), as a V1 update. */
  diff(stateVector?: Uint8Array): Uint8Array {
    return encodeStateAsUpdate(this.#doc, stateVector)
  }

  /** Whether a log other than those in `except` holds anything under the key. */
  isHeldOutside(key: string, except: ReadonlySet<LogId>): boolean {
    for (const { log, map } of this.#logs.values()) if (!except.has(log) && map.has(key)) return true
    return false
  }

  #settle(keys: Iterable<string | null>, map: RootMap<unknown>, place: Place, bytes: number): void {
    const changed = [...keys].filter(key => key !== null)
    place.registerBytes = bytes / Math.max(1, changed.length)
    for (const key of changed) {
      const register = asRegister(map.get(key))
      const before = lookup(this.#held, key)
      if (register && wins(register, place.own, before)) this.#replace(key, before, { register, place })
      else if (before?.place.log === place.log) this.#replace(key, before, this.#search(key, before.place))
    }
  }

  /** A log has taken back what won: only hostile servers do, honest stamps grow. Looks through all logs. */
  #search(key: string, place: Place): Held | undefined {
    let winner: Held | undefined
    for (const { log, map } of this.#logs.values()) {
      const register = asRegister(map.get(key))
      if (!register) continue
      const at = log === place.log ? place : { log, seq: 0, own: false, registerBytes: 0 }
      if (wins(register, at.own, winner)) winner = { register, place: at }
    }
    return winner
  }

  #replace(key: string, before: Held | undefined, held: Held | undefined): void {
    this.#weigh(before, -1)
    this.#weigh(held, 1)
    this.#held = put(this.#held, key, held)
  }

  #weigh(held: Held | undefined, sign: 1 | -1): void {
    if (held?.place.own) this.#ownLiveBytes += sign * held.place.registerBytes
  }

  #mayFollow(update: Uint8Array, at: ContentLog): boolean {
    if (at.ended) return false
    const { log: root, clientId, clock: nextClock } = at
    const answer = guardUpdate(update, { root, clientId, nextClock, history: historyOf(this.#doc, { root, clientId }) })
    if (answer.ok) at.clock = answer.nextClock
    at.ended = !answer.ok
    return answer.ok
  }

  #log(log: LogId): ContentLog {
    let at = this.#logs.get(log)
    if (at) return at
    const clientId = clientIdOf(log, this.#crypto)
    at = { log, clientId, map: this.#doc.getMap<unknown>(log), clock: 0, ended: false }
    this.#logs.set(log, at)
    return at
  }

  /** Only a document that this server writes pays for encoding what changes in it. */
  #listen(): void {
    if (this.#listens) return
    this.#listens = true
    this.#doc.on('update', (update: Uint8Array, _origin: unknown, _doc: Doc, { local }: Transaction) => {
      if (local) this.#written = update
    })
  }
}

function wins(register: Register, own: boolean, before: Held | undefined): boolean {
  if (!before || isLater(register, before.register)) return true
  return own && !before.place.own && !isLater(before.register, register)
}

/** The registers of a snapshot, as mutations and readers see them. */
export class HeldView implements Registers {
  static readonly #empty = new HeldView(undefined)
  static readonly #views = new WeakMap<NonNullable<HeldRegisters>, HeldView>()
  readonly #held: HeldRegisters

  private constructor(held: HeldRegisters) {
    this.#held = held
  }

  /** The same view for the same snapshot: who has read one knows without looking that nothing has changed. */
  static of(held: HeldRegisters): HeldView {
    if (held === undefined) return HeldView.#empty
    const known = HeldView.#views.get(held)
    if (known) return known
    const view = new HeldView(held)
    HeldView.#views.set(held, view)
    return view
  }

  get(key: string): Register | undefined {
    return lookup(this.#held, key)?.register
  }

  *entries(prefix = ''): Generator<readonly [key: string, register: Register]> {
    for (const [key, held] of withPrefix(this.#held, prefix)) if (held) yield [key, held.register]
  }
}
