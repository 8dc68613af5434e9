import { type Documents, type Registers, type RegisterWrite, type Room, WriteFailed } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { together } from './counting.ts'
import { type MailboxName, mailboxDocument, partDocument } from './names.ts'
import type { OwedRecords } from './owed.ts'
import {
  additionsOf,
  countIn,
  keys,
  noCounts,
  type Origin,
  type PartCounts,
  type Run,
  userOf,
  written,
} from './records.ts'
import { type Purpose, RoomAside } from './room.ts'

/*
 * How a mailbox is changed: in commits, each with a number under this writer's run. All that one commit says in the parts of
 * the mailbox is durable before the mailbox document names the commit; a reader that finds the commit there finds what
 * belongs to it. The commit's registers carry (run, number): see `records.ts`.
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
  /** Parts of a container in order, with what this commit adds. */
  parts(container: string): readonly PartSummary[]
  /** What all parts hold together, with what this commit has added and is about to add. */
  total(): Total
  read(at: PartRef): Promise<Registers>
  /** @throws what the decision throws; {@link CommandRefused} MAILBOX_FULL; {@link WriteFailed} {@link DocumentFull} */
  write<T>(at: PartRef, decide: PartDecision<T>): Promise<T>
  /** What there is in a part of each writer, counted anew; left out if the commit changes the part. */
  count(at: PartRef, counts: ReadonlyMap<Run, PartCounts>): void
  /** Keeps room for what is said later, if all goes well. @throws {CommandRefused} MAILBOX_FULL */
  setAside(...writes: readonly RegisterWrite[]): void
  /** Registers of the mailbox document itself; durable with the commit. @throws {CommandRefused} MAILBOX_FULL */
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

interface Touched extends PartRef {
  readonly sums: PartCounts
  readonly due: number | undefined
}

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
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly owed: OwedRecords
}

/** Registers, and parts with two of them each, that fit into an entry: a key has up to 300 characters, a change 200. */
const namedAtOnce = 128

/** One commit under way. */
export class Commit {
  readonly #options: CommitOptions
  readonly #touched = new Map<string, Touched>()
  readonly #said = new Map<string, RegisterWrite>()
  readonly #counted = new Map<string, { readonly at: PartRef; readonly counts: ReadonlyMap<Run, PartCounts> }>()
  readonly #parts = new Map<string, Map<number, PartSummary>>()
  /** What is decided and not durable yet, by decision: of those under way at the same time each counts for the others. */
  readonly #coming = new Map<unknown, Added>()
  readonly #aside: RoomAside
  #hasFailed = false
  #total: Total | undefined

  constructor(options: CommitOptions) {
    this.#options = options
    this.#aside = new RoomAside(options.room)
  }

  /** Whether there is noCounts that the mailbox document would say. */
  get isEmpty(): boolean {
    return this.#touched.size === 0 && this.#said.size === 0 && this.#counted.size === 0
  }

  /** Whether something could not be stored: it may have become durable all the same. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  edit(now: number, device: string | undefined): Edit {
    const { name, server, documents, run, number, mailbox } = this.#options
    const origin: Origin = device === undefined ? [run, number] : [run, number, device]
    return {
      name,
      mailbox,
      now,
      server,
      origin,
      parts: container => [...this.#partsOf(container).values()].sort((a, b) => a.part - b.part),
      total: () => [this.#totals(), ...this.#coming.values()].reduce(sumOf),
      read: ({ container, part }) => documents.read(partDocument(name, container, part)),
      write: (at, decide) => this.#write(at, decide),
      count: (at, counts) => this.#count(at, counts),
      setAside: (...writes) => this.#setAside(writes),
      say: (...writes) => {
        this.#setAside(writes)
        this.#say(writes)
      },
      sayRemoved: (...writes) => {
        this.#aside.set('removal', writes)
        this.#say(writes)
      },
    }
  }

  /**
   * Names the commit in the mailbox document: what does not fit into one entry comes before, and is not counted until the
   * commit's number is there. Room for all of it was set aside. @throws {WriteFailed}
   */
  async name(): Promise<void> {
    const { name, documents, owed, run, number, mailbox } = this.#options
    const document = mailboxDocument(name)
    // Of a mailbox that was erased nobody synchronises anything.
    const touched = userOf(mailbox)?.erased ? [] : [...this.#touched.values()]
    const words = [...this.#said.values()]
    for (const { at, counts } of this.#counted.values())
      if (!this.#touched.has(keyOf(at)))
        await documents.write(document, registers => ({
          writes: corrected(registers, at, counts),
          isOwed: true,
          answer: undefined,
        }))
    if (words.length === 0 && this.#touched.size === 0) return
    while (words.length > namedAtOnce)
      await documents.write(document, () => ({
        writes: words.splice(0, namedAtOnce),
        isOwed: true,
        answer: undefined,
      }))
    while (touched.length > namedAtOnce) {
      const some = touched.splice(0, namedAtOnce)
      await documents.write(document, registers => ({
        writes: some.flatMap(part => said(registers, part, run, number, this.#said)),
        isOwed: true,
        answer: undefined,
      }))
    }
    await documents.write(document, registers => ({
      writes: [
        ...words,
        ...touched.flatMap(part => said(registers, part, run, number, this.#said)),
        written(keys.run(run), number),
      ],
      local: [...this.#touched.values()].map(part => owed.settled(name, part)),
      isOwed: true,
      answer: undefined,
    }))
  }

  async #write<T>(at: PartRef, decide: PartDecision<T>): Promise<T> {
    const { name, documents, owed, run, number } = this.#options
    const document = partDocument(name, at.container, at.part)
    const writing = documents.write<Written<T>>(document, (registers, now) => {
      this.#coming.delete(decide)
      const { writes, added = noAddition, answer } = decide(registers, now)
      if (writes.length === 0) return { writes, answer: { answer } }
      if (added.bytes > 0) this.#coming.set(decide, added)
      // What the commit says in a part first says that it is there, that it is owed, and has room to be named.
      if (registers.get(keys.at(run))?.value === number) return { writes, answer: { answer, added } }
      this.#aside.set(purposeOf(writes), namingOf(at, run))
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
    const { mailbox } = this.#options
    for (const write of writes) {
      const before = mailbox.get(write.key)?.value ?? null
      this.#aside.set(write.value === null ? 'forgetting' : before === null ? 'new' : 'change', [write])
    }
  }

  #say(writes: readonly RegisterWrite[]): void {
    for (const write of writes) this.#said.set(write.key, write)
  }

  #count(at: PartRef, counts: ReadonlyMap<Run, PartCounts>): void {
    const { mailbox } = this.#options
    this.#aside.set('change', corrected(mailbox, at, counts))
    this.#counted.set(keyOf(at), { at, counts })
  }

  #touch(at: PartRef, added: Added): void {
    const before = this.#touched.get(keyOf(at))
    const sums = sumsOf(added)
    this.#touched.set(keyOf(at), {
      container: at.container,
      part: at.part,
      sums: together(before?.sums ?? noCounts, sums),
      due: earlier(before?.due, added.due),
    })
    const parts = this.#partsOf(at.container)
    parts.set(at.part, { ...at, ...together(parts.get(at.part) ?? noCounts, sums) })
    const total = this.#totals()
    this.#total = { objects: total.objects + added.objects, bytes: total.bytes + added.bytes }
  }

  #partsOf(container: string): Map<number, PartSummary> {
    const known = this.#parts.get(container)
    if (known) return known
    const parts = new Map<number, PartSummary>()
    for (const change of additionsOf(this.#options.mailbox, container))
      parts.set(change.part, {
        container,
        part: change.part,
        ...together(parts.get(change.part) ?? noCounts, change),
      })
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
export function totalOf(mailbox: Registers): { objects: number; bytes: number } {
  const total = { objects: 0, bytes: 0 }
  for (const { objects, bytes } of additionsOf(mailbox)) {
    total.objects += objects
    total.bytes += bytes
  }
  return total
}

/** What all writers should have said of a part, where that is something else. */
function corrected(mailbox: Registers, at: PartRef, counts: ReadonlyMap<Run, PartCounts>): RegisterWrite[] {
  const writes: RegisterWrite[] = []
  for (const { container, part, run, ...before } of additionsOf(mailbox, at.container)) {
    if (part !== at.part) continue
    const { objects, bytes, chars, from, to } = counts.get(run) ?? noCounts
    if (before.objects === objects && before.bytes === bytes && before.chars === chars) continue
    // What was there may be deposited once more: the times stay as wide as they were.
    const record = { objects, bytes, chars, from: Math.min(before.from, from), to: Math.max(before.to, to) }
    writes.push(written(keys.count(container, part, run), record))
  }
  return writes
}

/** What this writer says of a part, once the commit is named. `words` are what it says besides. */
function said(
  mailbox: Registers,
  { container, part, sums, due }: Touched,
  run: Run,
  number: number,
  words: ReadonlyMap<string, RegisterWrite>,
): RegisterWrite[] {
  const writes = [
    written(keys.change(container, part, run), number),
    written(keys.count(container, part, run), together(countIn(mailbox, container, part, run) ?? noCounts, sums)),
  ]
  const dueKey = keys.due(container, part)
  const dueBefore = (words.get(dueKey) ?? mailbox.get(dueKey))?.value
  const isEarlier = due !== undefined && !(typeof dueBefore === 'number' && dueBefore <= due)
  return isEarlier ? [...writes, written(dueKey, due)] : writes
}
