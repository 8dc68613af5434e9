import type { Documents, Registers, RegisterWrite, Room } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import {
  both,
  containerIn,
  hasIndexPart,
  indexDocument,
  indexKeys,
  indexPartOf,
  isOfContainer,
  isSaid,
  reachedIn,
} from './index-parts.ts'
import { isFolder, type MailboxName } from './names.ts'
import { keys, type Run, written } from './records.ts'
import { type Purpose, RoomAside } from './room.ts'

/*
 * Where a commit says what it says of containers: where that is said already; what is new, in the mailbox document as long as it
 * has much room, and then in the container's index part. Of folders, which are few, the mailbox document alone says what they
 * are called.
 */

/** The mailbox document, or the number of an index part. */
export type Place = 'mailbox' | number

export interface PlacingOptions {
  readonly name: MailboxName
  readonly server: ServerId
  readonly run: Run
  readonly mailbox: Registers
  /** In the mailbox document. */
  readonly room: Room
  /** With less room than this, the mailbox document says nothing new of containers. */
  readonly reserveBytes: number
  readonly now: number
  readonly documents: Pick<Documents, 'read' | 'room'>
}

interface Opened {
  readonly content: Registers
  /** All that is said of its containers. */
  readonly said: Registers
  readonly aside: RoomAside
}

export class Placing {
  readonly #options: PlacingOptions
  readonly #isMailboxFull: boolean
  readonly #aside: RoomAside
  readonly #opening = new Map<number, Promise<Registers>>()
  readonly #opened = new Map<number, Opened>()
  /** Those for whose naming room is set aside. */
  readonly #named = new Set<number>()

  constructor(options: PlacingOptions) {
    this.#options = options
    this.#isMailboxFull = options.room.bytes < options.reserveBytes
    this.#aside = new RoomAside(options.room)
  }

  /** All that is said of a container, which the commit may say more of from now on. */
  open(container: string): Promise<Registers> {
    const part = indexPartOf(container)
    const known = this.#opening.get(part)
    if (known) return known
    const opening = this.#open(part)
    this.#opening.set(part, opening)
    return opening
  }

  async #open(part: number): Promise<Registers> {
    const { name, mailbox, documents } = this.#options
    if (!this.#isMailboxFull && !hasIndexPart(mailbox, part)) return mailbox
    const document = indexDocument(name, part)
    const content = await documents.read(document)
    const said = both(mailbox, content)
    this.#opened.set(part, { content, said, aside: new RoomAside(await documents.room(document)) })
    return said
  }

  /** All that is said of a container that was opened. */
  said(container: string): Registers {
    return this.#opened.get(indexPartOf(container))?.said ?? this.#options.mailbox
  }

  /** What the place itself says. */
  content(place: Place): Registers {
    const { mailbox } = this.#options
    return place === 'mailbox' ? mailbox : (this.#opened.get(place)?.content ?? mailbox)
  }

  /** Places that may speak of a container that was opened. */
  placesOf(container: string): readonly Place[] {
    const part = indexPartOf(container)
    if (!this.#opening.has(part)) throw new Error(`Nobody has asked yet what is said of ${container}.`)
    return this.#opened.has(part) ? ['mailbox', part] : ['mailbox']
  }

  /** Where a register is to be written. None, if nothing is to be taken back. */
  places({ key, value }: RegisterWrite): readonly Place[] {
    const container = isOfContainer(key) ? containerIn(key) : undefined
    if (container === undefined || isAlwaysInMailbox(key, container)) return ['mailbox']
    const possible = this.placesOf(container)
    // What is counted stands beside the change that it is counted with.
    const beside = value !== null && key.startsWith('count/') ? `change${key.slice('count'.length)}` : key
    const places = possible.filter(place => this.#holds(place, beside))
    if (value === null || places.length > 0) return places
    return [this.#isMailboxFull ? indexPartOf(container) : 'mailbox']
  }

  /** Whether something is said there, or a mark stands there that would win over what is said elsewhere. */
  #holds(place: Place, key: string): boolean {
    const register = this.content(place).get(key)
    return register !== undefined && (isSaid(register.value) || register.stamp >= this.#options.now)
  }

  /** Sets room aside for registers, wherever they go. @throws {CommandRefused} MAILBOX_FULL */
  setAside(purpose: Purpose, writes: readonly RegisterWrite[]): void {
    const { mailbox, server, run } = this.#options
    for (const write of writes)
      for (const place of this.places(write)) {
        if (place === 'mailbox') {
          this.#aside.set(purpose, [write])
          continue
        }
        this.#opened.get(place)?.aside.set(purpose, [write, written(keys.at(run), 0)])
        if (this.#named.has(place)) continue
        // However full the mailbox document is of containers: index parts are there for what it has no room for.
        this.#aside.set(purpose === 'new' ? 'change' : purpose, [
          written(keys.run(run), 0),
          written(indexKeys.reached(place, server), {
            at: { ...reachedIn(mailbox, place, server), [run]: longNumber },
          }),
          written(indexKeys.sum(place, server), { objects: longNumber, bytes: longNumber }),
        ])
        this.#named.add(place)
      }
  }
}

const longNumber = 10 ** 12

const isAlwaysInMailbox = (key: string, container: string): boolean =>
  key.startsWith('removed/') || (key.startsWith('container/') && isFolder(container))
