import { type Documents, type Registers, type RegisterWrite, type Room, WriteFailed } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { corrected, together } from './counting.ts'
import { containerIn, indexDocument, indexedSum } from './index-parts.ts'
import { type MailboxName, partDocument } from './names.ts'
import { type Correction, nameCommit, type Touched } from './naming.ts'
import type { OwedRecords } from './owed.ts'
import { Placing } from './placing.ts'
import type { StoragePolicy } from './policy.ts'
import { additionsOf, keys, noCounts, type Origin, type PartCounts, type Run, written } from './records.ts'
import type { Purpose } from './room.ts'

/*
 * How a mailbox is changed: in commits, each with a number under this writer's run. All that one commit says in the parts of
 * the mailbox is durable before index parts name it, and that before the mailbox document names the commit; a reader that
 * finds the commit there finds what belongs to it. The commit's registers carry (run, number): see `records.ts`.
 */

export interface Total {
  readonly objects: number
  readonly bytes: number
}

export interface PartRef {
  readonly container: string
  readonly part: number
}

/** What a task adds to a part; takes away, if negative. */
export interface Added {
  readonly objects: number
  readonly bytes: number
  readonly chars: number
  /** When the object was sent. */
  readonly date?: number | undefined
  /** From when on something is to be expunged. */
  readonly due?: number | undefined
}

/** What is known of a part without opening it; of all writers together. */
export interface PartSummary extends PartRef, PartCounts {}

/** A decision about a part: a pure function of what stands there. What it throws refuses. */
export type PartDecision<T> = (
  part: Registers,
  now: number,
) => { readonly writes: readonly RegisterWrite[]; readonly added?: Added; readonly answer: T }

/** What one task of a commit may do. */
export interface Edit {
  readonly name: MailboxName
  /** The mailbox document as it was when the commit began. */
  readonly mailbox: Registers
  readonly now: number
  readonly server: ServerId
  /** To go into every register that the task writes. */
  readonly origin: Origin
  /** All that is said of a container: by the mailbox document, and by the index part. */
  said(container: string): Promise<Registers>
  /** Parts of a container in order, with what this commit adds. */
  parts(container: string): Promise<readonly PartSummary[]>
  /** What all parts hold together, with what this commit has added and is about to add. */
  total(): Total
  read(at: PartRef): Promise<Registers>
  readIndex(part: number): Promise<Registers>
  /** @throws what the decision throws; {@link CommandRefused} MAILBOX_FULL; {@link WriteFailed} {@link DocumentFull} */
  write<T>(at: PartRef, decide: PartDecision<T>): Promise<T>
  /** What there is in a part of each writer, counted anew; left out if the commit changes the part. Of a container that was asked for. */
  count(at: PartRef, counts: ReadonlyMap<Run, PartCounts>): void
  /** Keeps room for what is said later, if all goes well. @throws {CommandRefused} MAILBOX_FULL */
  setAside(...writes: readonly RegisterWrite[]): void
  /**
   * Registers of the mailbox document itself, or of a container that was asked for; durable with the commit.
   * @throws {CommandRefused} MAILBOX_FULL
   */
  say(...writes: readonly RegisterWrite[]): void
  /** The same for what says that something is removed: there is room for it where there is for nothing else. */
  sayRemoved(...writes: readonly RegisterWrite[]): void
}

const sumsOf = ({ objects, bytes, chars, date }: Added): PartCounts => ({
  objects,
  bytes,
  chars,
  from: date ?? noCounts.from,
  to: date ?? noCounts.to,
})

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a

/** `added` is there if something was written. */
interface Written<T> {
  readonly answer: T
  readonly added?: Added
}

export interface CommitOptions {
  readonly name: MailboxName
  readonly server: ServerId
  readonly run: Run
  readonly number: number
  readonly mailbox: Registers
  /** In the mailbox document. */
  readonly room: Room
  readonly documents: Pick<Documents, 'read' | 'write' | 'room'>
  readonly owed: OwedRecords
  readonly now: number
  readonly policy: Pick<StoragePolicy, 'mailboxReserveBytes' | 'tokenMs' | 'offlineMs'>
}

/** One commit under way. */
export class Commit {
  readonly #options: CommitOptions
  /** What all tasks may do alike. */
  readonly #tools: Omit<Edit, 'now' | 'origin'>
  readonly #touched = new Map<string, Touched>()
  readonly #said = new Map<string, RegisterWrite>()
  readonly #counted = new Map<string, Correction>()
  readonly #parts = new Map<string, Map<number, PartSummary>>()
  /** What is decided and not durable yet, by decision: of those under way at the same time each counts for the others. */
  readonly #coming = new Map<unknown, Added>()
  readonly #placing: Placing
  #hasFailed = false
  #total: Total | undefined

  constructor(options: CommitOptions) {
    this.#options = options
    this.#placing = new Placing({ ...options, reserveBytes: options.policy.mailboxReserveBytes })
    this.#tools = this.#toolsOf(options)
  }

  /** Whether there is nothing that the mailbox document would say. */
  get isEmpty(): boolean {
    return this.#touched.size === 0 && this.#said.size === 0 && this.#counted.size === 0
  }

  /** Whether something could not be stored: it may have become durable all the same. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  edit(now: number, device: string | undefined): Edit {
    const { run, number } = this.#options
    return { ...this.#tools, now, origin: device === undefined ? [run, number] : [run, number, device] }
  }

  #toolsOf({ name, server, documents, mailbox }: CommitOptions): Omit<Edit, 'now' | 'origin'> {
    return {
      name,
      mailbox,
      server,
      said: container => this.#placing.open(container),
      parts: async container => {
        await this.#placing.open(container)
        return [...this.#partsOf(container).values()].sort((a, b) => a.part - b.part)
      },
      total: () => [this.#totals(), ...this.#coming.values()].reduce(sumOf),
      read: ({ container, part }) => documents.read(partDocument(name, container, part)),
      readIndex: part => documents.read(indexDocument(name, part)),
      write: (at, decide) => this.#write(at, decide),
      count: (at, counts) => this.#count(at, counts),
      setAside: (...writes) => this.#setAside(writes),
      say: (...writes) => {
        this.#setAside(writes)
        this.#say(writes)
      },
      sayRemoved: (...writes) => {
        this.#placing.setAside('removal', writes)
        this.#say(writes)
      },
    }
  }

  /** Names the commit. Room for all that it says was set aside. @throws {WriteFailed} */
  name(): Promise<void> {
    const corrections = [...this.#counted]
      .filter(([key]) => !this.#touched.has(key))
      .map(([, correction]) => correction)
    return nameCommit({
      ...this.#options,
      placing: this.#placing,
      touched: [...this.#touched.values()],
      words: this.#said,
      corrections,
    })
  }

  async #write<T>(at: PartRef, decide: PartDecision<T>): Promise<T> {
    const { name, documents, owed, run, number } = this.#options
    const document = partDocument(name, at.container, at.part)
    await this.#placing.open(at.container)
    const writing = documents.write<Written<T>>(document, (registers, now) => {
      this.#coming.delete(decide)
      const { writes, added = noAddition, answer } = decide(registers, now)
      if (writes.length === 0) return { writes, answer: { answer } }
      if (added.bytes > 0) this.#coming.set(decide, added)
      // What the commit says in a part first says that it is there, that it is owed, and has room to be named.
      if (registers.get(keys.at(run))?.value === number) return { writes, answer: { answer, added } }
      this.#placing.setAside(purposeOf(writes), namingOf(at, run))
      return {
        writes: [...writes, written(keys.at(run), number)],
        local: [owed.record(name, { container: at.container, part: at.part, run, number })],
        answer: { answer, added },
      }
    })
    const { answer, added } = await writing.catch(error => {
      this.#coming.delete(decide)
      this.#hasFailed ||= error instanceof WriteFailed
      throw error
    })
    this.#coming.delete(decide)
    if (added) this.#touch(at, added)
    return answer
  }

  #setAside(writes: readonly RegisterWrite[]): void {
    for (const write of writes) {
      const before = this.#placing.said(containerIn(write.key)).get(write.key)?.value ?? null
      this.#placing.setAside(write.value === null ? 'forgetting' : before === null ? 'new' : 'change', [write])
    }
  }

  #say(writes: readonly RegisterWrite[]): void {
    for (const write of writes) this.#said.set(write.key, write)
  }

  #count(at: PartRef, counts: ReadonlyMap<Run, PartCounts>): void {
    this.#placing.setAside('change', corrected(this.#placing.said(at.container), at, counts))
    this.#counted.set(keyOf(at), { at, counts })
  }

  #touch(at: PartRef, added: Added): void {
    const parts = this.#partsOf(at.container)
    const before = this.#touched.get(keyOf(at))
    const sums = sumsOf(added)
    this.#touched.set(keyOf(at), {
      container: at.container,
      part: at.part,
      sums: together(before?.sums ?? noCounts, sums),
      due: earlier(before?.due, added.due),
    })
    parts.set(at.part, { ...at, ...together(parts.get(at.part) ?? noCounts, sums) })
    const total = this.#totals()
    this.#total = { objects: total.objects + added.objects, bytes: total.bytes + added.bytes }
  }

  /** Of a container that was opened. */
  #partsOf(container: string): Map<number, PartSummary> {
    const known = this.#parts.get(container)
    if (known) return known
    const parts = new Map<number, PartSummary>()
    for (const { part, ...change } of additionsOf(this.#placing.said(container), container))
      parts.set(part, { container, part, ...together(parts.get(part) ?? noCounts, change) })
    this.#parts.set(container, parts)
    return parts
  }

  #totals(): Total {
    this.#total ??= totalOf(this.#options.mailbox)
    return this.#total
  }
}

/** What registers of a part are written for: whether they are taken away, or say of an object that it was. */
function purposeOf(writes: readonly RegisterWrite[]): Purpose {
  const said = writes.filter(({ value }) => value !== null)
  if (said.length === 0) return 'forgetting'
  return said.every(({ key }) => key.startsWith(keys.gone(''))) ? 'removal' : 'change'
}

/** The registers with which a part that was changed is named; with what may be said of it besides. */
const namingOf = ({ container, part }: PartRef, run: Run): readonly RegisterWrite[] => [
  written(keys.run(run), 0),
  written(keys.change(container, part, run), 0),
  written(keys.count(container, part, run), noCounts),
  written(keys.due(container, part), 0),
  written(keys.erased(container, part), 0),
]

const noAddition: Added = { objects: 0, bytes: 0, chars: 0 }
const keyOf = ({ container, part }: PartRef): string => `${container}/${part}`

const sumOf = (a: Total, b: Total): Total => ({ objects: a.objects + b.objects, bytes: a.bytes + b.bytes })

/** What all writers have added to all parts. */
export function totalOf(mailbox: Registers): Total {
  const total = { ...indexedSum(mailbox) }
  for (const { objects, bytes } of additionsOf(mailbox)) {
    total.objects += objects
    total.bytes += bytes
  }
  return total
}
