import type { Crypto } from '../ports/crypto.ts'
import type { LogId } from '../ports/names.ts'
import type { Register } from './documents.ts'
import { type GuardedItem, guardUpdate } from './guard.ts'
import { HeldView } from './held-view.ts'
import { clientIdOf } from './log.ts'
import { LogContent } from './log-content.ts'
import { encodeUpdate, encodeVoid, type LogExtent } from './register-updates.ts'
import { isLater } from './registers-view.ts'
import { ItemWalk, keyIn } from './update-items.ts'
import { settled, wins } from './winners.ts'
import type { CountedUpdate } from './y-state.ts'

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

/** An entry as far as its content goes. */
export interface ContentEntry {
  readonly log: LogId
  readonly seq: number
  readonly update: Uint8Array
}

/**
 * The content of one document in memory: what each log says, and the winning register of every key, kept up to date with
 * work in proportion to what changes. It is read straight from the logs' updates; nothing here needs a Y.Doc.
 *
 * It also knows what of this server's logs is live: the bytes of registers there that no later register outdates, anywhere.
 * Of two equal registers the one in this server's log counts as the winner: were each of two servers to take the other's
 * for the one that stays, both would leave it out of their next copies.
 */
export class Content {
  readonly #crypto: Pick<Crypto, 'sha256'>
  readonly #copied: ReadonlyMap<LogId, number>
  readonly #logs = new Map<LogId, LogContent>()
  #view = HeldView.empty
  /** Whether the view says what wins: a document that is read from the store is put in order once, when somebody first asks. */
  #isOrdered = false
  #ownBytes = 0
  #ownLiveBytes = 0

  /** @param copied logs up to where they were copied, and count for nothing (see `ledger.ts`) */
  constructor(crypto: Pick<Crypto, 'sha256'>, copied: ReadonlyMap<LogId, number> = new Map()) {
    this.#crypto = crypto
    this.#copied = copied
  }

  /** The winners now. The same view for as long as nothing changes: who has read it knows that without looking. */
  get view(): HeldView {
    this.#order()
    return this.#view
  }

  /** Update bytes in this server's logs that hold live registers. */
  get ownLiveBytes(): number {
    this.#order()
    return this.#ownLiveBytes
  }

  /** Update bytes in this server's logs that hold registers with a later one somewhere. */
  get ownGarbageBytes(): number {
    return this.#ownBytes - this.ownLiveBytes
  }

  /**
   * Takes in an entry as the store holds it; entries of one log come in their order, and all of them before anything is asked. What they
   * say is looked at once all are there.
   */
  load({ log, seq, update }: ContentEntry, own: boolean): void {
    if (own) this.#ownBytes += update.length
    this.#log(log).load(update, { log, seq, own, registerBytes: 0 })
  }

  /** Whether all of it was read from entries, and nothing written here: then {@link shown} tells all. */
  get isRead(): boolean {
    for (const at of this.#logs.values()) if (!at.isRead) return false
    return true
  }

  /** What whoever begins to follow is to be shown of what was read: see {@link apply}. Those of one log come in their order. */
  *shown(): Generator<CountedUpdate> {
    this.#order()
    for (const at of this.#logs.values())
      for (const { update, place } of at.updates())
        yield { update: at.counts(place.seq) ? update : voidOf(update, at), clientId: at.clientId, own: place.own }
  }

  /**
   * Takes in an entry that passed the guard, or was written here; entries of one log come in their order. Answers with the update
   * that whoever follows is to be shown; `undefined` when there is none, as the log has ended: the guard looks once more, now that
   * the log's past is at hand, and may end it. Every replica ends it at the same entry.
   * @param said hears each register that the entry brings, whether it wins or not
   */
  apply(
    { log, seq, update }: ContentEntry,
    own: boolean,
    said?: (key: string, register: Register) => void,
  ): Uint8Array | undefined {
    this.#order()
    const at = this.#log(log)
    if (own) this.#ownBytes += update.length
    if (at.hasEndedAt(seq)) return undefined
    if (update.length === 0) return update
    const { clock } = at
    const items: GuardedItem[] = []
    if (!this.#mayFollow(update, at, items)) {
      at.endAt(seq)
      return undefined
    }
    const counts = at.counts(seq)
    at.begin(update, { log, seq, own, registerBytes: update.length / items.length })
    for (const item of items) {
      const held = counts ? this.#take(item.key ?? at.keyAt(item.origin), item, at) : at.read(item)
      said?.(item.key ?? at.keyAt(item.origin), held.register)
    }
    return counts ? update : encodeVoid({ root: log, clientId: at.clientId, clock }, items)
  }

  /**
   * Writes registers into a log of this server, each later than what its key holds, and answers the Yjs update that says so.
   * @param view the content with the changes in it
   * @param place of the entry that the update will go into
   */
  write(changes: ReadonlyMap<string, Held>, view: HeldView, place: Place): Uint8Array {
    this.#order()
    const at = this.#log(place.log)
    const items = Array.from(changes, ([key, { register }]) => ({ key, register, overwrites: at.clockOf(key) }))
    const update = encodeUpdate({ root: at.log, clientId: at.clientId, clock: at.clock }, items)
    place.registerBytes = update.length / changes.size
    this.#ownBytes += update.length
    this.#ownLiveBytes += update.length
    for (const [key, change] of changes) {
      at.add(key, change)
      this.#weigh(this.#view.held(key), -1)
    }
    this.#view = view
    return update
  }

  /** What a log's items are to Yjs: its client, and how many there are. */
  extentOf(log: LogId): LogExtent {
    this.#order()
    const { clientId, clock } = this.#log(log)
    return { clientId, clock }
  }

  /** The Yjs client that writes a log. */
  clientOf(log: LogId): number {
    return this.#log(log).clientId
  }

  /** Whether a log other than those in `except` holds anything under the key but this same register. */
  isOtherHeldOutside(key: string, register: Register, except: ReadonlySet<LogId>): boolean {
    this.#order()
    for (const at of this.#logs.values()) {
      if (except.has(at.log) || at.isNew(key)) continue
      const said = at.get(key)?.register
      if (!said || isLater(said, register) || isLater(register, said)) return true
    }
    return false
  }

  #order(): void {
    if (this.#isOrdered) return
    this.#isOrdered = true
    if (this.#logs.size === 0) return
    const stored = settled([...this.#logs.values()])
    this.#ownLiveBytes = stored.ownBytes
    this.#view = HeldView.of(stored)
  }

  #take(key: string, item: GuardedItem, at: LogContent): Held {
    const before = this.#view.held(key)
    const held = at.read(item)
    if (wins(held, before)) this.#replace(key, before, held)
    else if (before?.place.log === at.log) this.#replace(key, before, this.#search(key, held))
    return held
  }

  /** A log has taken back what won: only hostile servers do, honest stamps grow. Looks through all logs. */
  #search(key: string, instead: Held): Held {
    let winner = instead
    for (const at of this.#logs.values()) {
      const held = at.get(key)
      if (held && wins(held, winner)) winner = held
    }
    return winner
  }

  #replace(key: string, before: Held | undefined, held: Held): void {
    this.#weigh(before, -1)
    this.#weigh(held, 1)
    this.#view = this.#view.with(key, held)
  }

  #weigh(held: Held | undefined, sign: 1 | -1): void {
    if (held?.place.own) this.#ownLiveBytes += sign * held.place.registerBytes
  }

  #mayFollow(update: Uint8Array, at: LogContent, items: GuardedItem[]): boolean {
    const { log: root, clientId, clock: nextClock } = at
    return guardUpdate(update, { root, clientId, nextClock, history: at }, undefined, items).ok
  }

  #log(log: LogId): LogContent {
    const found = this.#logs.get(log)
    if (found) return found
    const at = new LogContent(log, clientIdOf(log, this.#crypto), this.#copied.get(log))
    this.#logs.set(log, at)
    return at
  }
}

/** What stands in the place of an update of which nothing counts. */
function voidOf(update: Uint8Array, { log, clientId }: LogContent): Uint8Array {
  const walk = new ItemWalk(update)
  const items = Array.from({ length: walk.items }, () => {
    walk.next()
    return { key: walk.origin < 0 ? keyIn(update, walk.at) : undefined, origin: walk.origin }
  })
  return encodeVoid({ root: log, clientId, clock: walk.clock }, items)
}
