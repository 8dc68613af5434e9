import { z } from 'zod'
import type { Documents, Json, Register, Registers } from '../document/documents.ts'
import { isLater, registersOf } from '../document/registers-view.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import { type MailboxName, partDocument } from './names.ts'
import { additionsOf, completeTo, type Run, remembering, type Vector } from './records.ts'

/*
 * A mailbox document has room for some thousand conversations. What is said of further containers lies in index parts, each
 * container's in the one that its name falls to: so every server looks for it, and begins it, in the same place, whoever else
 * does. Of one container both the mailbox document and its index part may speak, as servers that were apart have found room at
 * different times: what is said of it is what either says, of each register the later one.
 *
 * The mailbox document says of each index part how far each writer has come there, as it says it of a conversation's parts itself.
 */

/** How many there may be. All servers must agree, of other operators too: what is stored depends on it. */
export const indexPartCount = 128

/** No container is called so. */
const indexContainer = 'index'

export const isIndex = (document: DocumentId): boolean =>
  document.startsWith('conversation/') && document.split('/')[3] === indexContainer

export const indexDocument = (name: MailboxName, part: number): DocumentId => partDocument(name, indexContainer, part)

/** The index part that a container falls to: FNV-1a of its name, in 32 bits. */
export function indexPartOf(container: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < container.length; at++) hash = Math.imul(hash ^ container.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % indexPartCount
}

export const indexKeys = {
  /** In the mailbox document: how far the runs of this server have come in an index part. Nobody else writes it. */
  reached: (part: number, server: ServerId) => `index/${part}/${server}`,
  /** In the mailbox document: what all that this server has counted in an index part comes to. Whoever counts anew may set it right. */
  sum: (part: number, server: ServerId) => `sum/${part}/${server}`,
}

/** Runs that have ended so long ago that everybody knows them whole may be left out. */
const reachedRecord = z.object({ at: z.record(z.string(), z.int().min(0)) })
const sumRecord = z.object({ objects: z.int(), bytes: z.int() })
const asReached = remembering(reachedRecord)
const asSum = remembering(sumRecord)

export interface Sum {
  readonly objects: number
  readonly bytes: number
}

export const reachedIn = (mailbox: Registers, part: number, server: ServerId): Readonly<Record<Run, number>> =>
  asReached(mailbox.get(indexKeys.reached(part, server))?.value)?.at ?? {}

export const sumIn = (mailbox: Registers, part: number, server: ServerId): Sum | undefined =>
  asSum(mailbox.get(indexKeys.sum(part, server))?.value)

/** What is counted in all index parts together. */
export function indexedSum(mailbox: Registers): Sum {
  const total = { objects: 0, bytes: 0 }
  for (const [, { value }] of mailbox.entries('sum/')) {
    const { objects, bytes } = asSum(value) ?? total
    if (asSum(value) === undefined) continue
    total.objects += objects
    total.bytes += bytes
  }
  return total
}

/** What each server has counted in an index part. */
export function sumsOf(content: Registers): Map<ServerId, Sum> {
  const sums = new Map<ServerId, Sum>()
  for (const { server, objects, bytes } of additionsOf(content)) {
    const { objects: o, bytes: b } = sums.get(server) ?? { objects: 0, bytes: 0 }
    sums.set(server, { objects: o + objects, bytes: b + bytes })
  }
  return sums
}

/** Servers of which the mailbox document says something in an index part. */
export function* summedIn(mailbox: Registers, part: number): Generator<ServerId> {
  for (const [key] of mailbox.entries(`sum/${part}/`)) yield key.slice(`sum/${part}/`.length) as ServerId
}

/** An index part that the mailbox document names, with how far each writer has come there. */
export interface IndexPart {
  readonly part: number
  readonly writers: ReadonlyMap<Run, number>
}

export const hasIndexPart = (mailbox: Registers, part: number): boolean =>
  !mailbox.entries(`index/${part}/`)[Symbol.iterator]().next().done

/** Those that there are, in order; of `except`, what its runs have said is left out. */
export function indexPartsOf(mailbox: Registers, except?: ServerId): IndexPart[] {
  const parts = new Map<number, Map<Run, number>>()
  for (const [key, { value }] of mailbox.entries('index/')) {
    const [, number, server] = key.split('/')
    const part = Number(number)
    if (server === except) continue
    const reached = Number.isInteger(part) && part >= 0 && part < indexPartCount ? asReached(value) : undefined
    if (!reached) continue
    const writers = parts.get(part) ?? new Map<Run, number>()
    for (const [run, n] of Object.entries(reached.at)) writers.set(run, n)
    parts.set(part, writers)
  }
  return [...parts].map(([part, writers]) => ({ part, writers })).sort((a, b) => a.part - b.part)
}

/** Those with a change beyond a vector; whoever begins needs them all. */
export const changedIndexParts = (mailbox: Registers, from: Vector, except?: ServerId): IndexPart[] =>
  indexPartsOf(mailbox, except).filter(
    ({ writers }) => from.size === 0 || [...writers].some(([run, n]) => n > (from.get(run) ?? 0)),
  )

/** Whether all that the mailbox document names in an index part has arrived here. */
export const isIndexHere = ({ writers }: IndexPart, content: Registers): boolean =>
  [...writers].every(([run, n]) => completeTo(content, run) >= n)

/** Two documents as one: of each register the later. */
export const both = (a: Registers, b: Registers): Registers => ({
  get: key => later(a.get(key), b.get(key)),
  entries: (prefix, from) => merged(a.entries(prefix, from), b.entries(prefix, from)),
})

const later = (a: Register | undefined, b: Register | undefined): Register | undefined =>
  a && b ? (isLater(b, a) ? b : a) : (a ?? b)

type Entry = readonly [key: string, register: Register]

function* merged(a: Iterable<Entry>, b: Iterable<Entry>): Generator<Entry> {
  const [left, right] = [a[Symbol.iterator](), b[Symbol.iterator]()]
  let one = left.next()
  let other = right.next()
  while (!one.done || !other.done) {
    if (other.done || (!one.done && one.value[0] < other.value[0])) {
      yield one.value as Entry
      one = left.next()
    } else if (one.done || other.value[0] < one.value[0]) {
      yield other.value
      other = right.next()
    } else {
      yield [one.value[0], isLater(other.value[1], one.value[1]) ? other.value[1] : one.value[1]]
      one = left.next()
      other = right.next()
    }
  }
}

type Reading = Pick<Documents, 'read'>

/** All that is said of one container. */
export async function saidOf(
  name: MailboxName,
  mailbox: Registers,
  container: string,
  documents: Reading,
): Promise<Registers> {
  const part = indexPartOf(container)
  if (!hasIndexPart(mailbox, part)) return mailbox
  return both(mailbox, await documents.read(indexDocument(name, part)))
}

/**
 * All that is said of containers, of some of them at a time, of each all that there is; so that whoever goes through a large
 * mailbox has never much of it in hand, and lets others have their turn. `isWanted`: of the containers that fall to this index part.
 */
export async function* saidInTurn(
  name: MailboxName,
  mailbox: Registers,
  documents: Reading,
  isWanted: (part: number) => boolean = () => true,
): AsyncGenerator<Registers> {
  const parts = new Set(indexPartsOf(mailbox).map(({ part }) => part))
  if (parts.size === 0) return yield mailbox
  const shares = sharesOf(mailbox)
  for (let part = 0; part < indexPartCount; part++) {
    if (!isWanted(part)) continue
    const share = shares.get(part)
    if (parts.has(part)) yield both(share ?? nothing, await documents.read(indexDocument(name, part)))
    else if (share) yield share
  }
}

const nothing = registersOf(new Map())

/** What a mailbox document says of containers, by the index part that each falls to. */
export function sharesOf(mailbox: Registers): ReadonlyMap<number, Registers> {
  const shares = new Map<number, Map<string, Register>>()
  for (const prefix of containerPrefixes)
    for (const [key, register] of mailbox.entries(prefix)) {
      const part = indexPartOf(containerIn(key))
      const share = shares.get(part) ?? new Map<string, Register>()
      share.set(key, register)
      shares.set(part, share)
    }
  return new Map([...shares].map(([part, share]) => [part, registersOf(share)]))
}

const containerPrefixes = ['container/', 'removed/', 'change/', 'count/', 'due/', 'erased/'] as const

/** Whether a key speaks of a container. */
export const isOfContainer = (key: string): boolean => containerPrefixes.some(prefix => key.startsWith(prefix))

/** The container that a key speaks of. */
export function containerIn(key: string): string {
  const from = key.indexOf('/') + 1
  if (from === 0) return ''
  const to = key.indexOf('/', from)
  return to < 0 ? key.slice(from) : key.slice(from, to)
}

export const isSaid = (value: Json | undefined): boolean => value !== null && value !== undefined
