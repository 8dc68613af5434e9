import type { Documents, Registers } from '../../document/documents.ts'
import type { PartRef } from '../commit.ts'
import { changedIndexParts, type IndexPart, indexDocument, indexPartOf, indexPartsOf } from '../index-parts.ts'
import type { MailboxName } from '../names.ts'
import {
  type ContainerRecord,
  changesOf,
  changesSince,
  completeTo,
  containersOf,
  flagOriginsIn,
  flagsIn,
  type GoneRecord,
  goneIdsIn,
  goneIn,
  type ObjectRecord,
  type Origin,
  objectIn,
  objectTextsIn,
  originAtEnd,
  type Run,
  type Vector,
  vectorOf,
} from '../records.ts'

/*
 * What has changed in a mailbox beyond a vector. The mailbox document says which parts to look at, and which index parts, that
 * say it of further parts; the registers there say
 * themselves from which commit they are.
 */

/** A part that has changed, with all of its writers, each with the last of its commits that is in it. */
export interface ChangedPart extends PartRef {
  readonly writers: ReadonlyMap<Run, number>
}

/** Changed parts of the containers that fall to one index part. */
export interface ChangedShare {
  /** The index part, if there is one: what it says counts as far as it has arrived here. */
  readonly index: { readonly at: IndexPart; readonly content: Registers } | undefined
  /** In order. */
  readonly parts: readonly ChangedPart[]
}

/**
 * Parts with a change beyond `from`, in order, from those of the container `first` on; an index part that has changed comes with
 * them, also if none of them have. Their objects are told as they are here, so all that their writers had said by `from` must
 * be here too.
 */
export async function* changedShares(
  name: MailboxName,
  mailbox: Registers,
  from: Vector,
  documents: Pick<Documents, 'read'>,
  first?: string,
): AsyncGenerator<ChangedShare> {
  const inMailbox = Map.groupBy(changedRefs(mailbox, from), ({ container }) => indexPartOf(container))
  const indexes = new Map(indexPartsOf(mailbox).map(index => [index.part, index]))
  const changed = changedIndexParts(mailbox, from).map(({ part }) => part)
  for (const share of inTurn([...inMailbox.keys(), ...changed], first)) {
    const at = indexes.get(share)
    const content = at && (await documents.read(indexDocument(name, at.part)))
    const refs = [...(inMailbox.get(share) ?? []), ...(content ? changedRefs(content, from) : [])]
    const parts = new Map(refs.map(({ container, part }) => [`${container}/${part}`, { container, part }]))
    yield {
      index: at && content && { at, content },
      parts: [...parts]
        .map(([within, ref]) => ({ ...ref, writers: writersOf(within, content ? [mailbox, content] : [mailbox]) }))
        .sort(inOrder),
    }
  }
}

const changedRefs = (said: Registers, from: Vector): PartRef[] =>
  [...changesSince(said, from)].map(({ container, part }) => ({ container, part }))

function writersOf(within: string, places: readonly Registers[]): Map<Run, number> {
  const writers = new Map<Run, number>()
  for (const said of places)
    for (const { run, n } of changesOf(said, within)) writers.set(run, Math.max(n, writers.get(run) ?? 0))
  return writers
}

const inTurn = (shares: Iterable<number>, first: string | undefined): number[] =>
  [...new Set(shares)].filter(share => first === undefined || share >= indexPartOf(first)).sort((a, b) => a - b)

/** How conversations and folders are called that have a name beyond `from`, with the index part that says so. */
export interface ChangedContainers {
  readonly index: ChangedShare['index']
  readonly containers: readonly (readonly [container: string, record: ContainerRecord])[]
}

/** The same for the names of containers, in order, those after `after`. */
export async function* changedContainers(
  name: MailboxName,
  mailbox: Registers,
  from: Vector,
  documents: Pick<Documents, 'read'>,
  after: string | undefined,
): AsyncGenerator<ChangedContainers> {
  const inMailbox = Map.groupBy(namedSince(mailbox, from), ([container]) => indexPartOf(container))
  const changed = new Map(changedIndexParts(mailbox, from).map(index => [index.part, index]))
  for (const share of inTurn([...inMailbox.keys(), ...changed.keys()], after)) {
    const at = changed.get(share)
    const content = at && (await documents.read(indexDocument(name, at.part)))
    const named = new Map([...(content ? namedSince(content, from) : []), ...(inMailbox.get(share) ?? [])])
    const isAfter = (container: string) => after === undefined || indexPartOf(after) < share || container > after
    yield {
      index: at && content && { at, content },
      containers: [...named].filter(([container]) => isAfter(container)).sort(([a], [b]) => (a < b ? -1 : 1)),
    }
  }
}

const namedSince = (said: Registers, from: Vector): (readonly [string, ContainerRecord])[] => [
  ...containersOf(said, ([run, n]) => n > (from.get(run) ?? 0)),
]

/**
 * The order in which parts are gone through, in every release: by the index part that their containers fall to, so that whoever
 * goes on somewhere has few index parts to read.
 */
export const inOrder = (a: PartRef, b: PartRef): number =>
  a.container === b.container
    ? a.part - b.part
    : indexPartOf(a.container) - indexPartOf(b.container) || (a.container < b.container ? -1 : 1)

/**
 * How far the changes of each writer can be told here. A mailbox document may have arrived while the parts that it names are
 * still on their way: then only what is complete counts, up to the last commit before the first gap. That may be less than
 * `from`, which another server has given: what is told here is then older than what the client had, so that it has to be
 * told the rest again.
 */
export function reachable(
  mailbox: Registers,
  from: Vector,
  parts: readonly { readonly at: Pick<ChangedPart, 'writers'>; readonly content: Registers }[],
): { readonly to: Vector; readonly isLagging: boolean } {
  const to = vectorOf(mailbox)
  let isLagging = [...from].some(([run, number]) => (to.get(run) ?? 0) < number)
  for (const { at, content } of parts)
    for (const [run, number] of at.writers) {
      const complete = completeTo(content, run)
      if (complete >= number) continue
      isLagging = true
      to.set(run, Math.min(to.get(run) ?? 0, complete))
    }
  return { to, isLagging }
}

/** Whether a part, or an index part, is known to have all that its writers say up to `to`. */
export const isComplete = ({ writers }: Pick<ChangedPart, 'writers'>, content: Registers, to: Vector): boolean =>
  [...writers].every(([run, n]) => completeTo(content, run) >= Math.min(n, to.get(run) ?? 0))

/** What happened to one object. */
export type ObjectChange = {
  readonly id: string
  /** Devices that asked for it; `undefined` among them for those that did not say. */
  readonly devices: ReadonlySet<string | undefined>
} & (
  | {
      readonly kind: 'created' | 'changed'
      readonly object: ObjectRecord
      /** Whether a flag was set or cleared since it was there: on some server it may have been there before. */
      readonly isFlagged: boolean
    }
  | { readonly kind: 'gone'; readonly gone: GoneRecord }
)

const isBeyond = ([run, n]: Origin, from: Vector, to: Vector): boolean =>
  n > (from.get(run) ?? 0) && n <= (to.get(run) ?? 0)

/** Objects of a part with a change beyond `from` and not beyond `to`, in order of id, after the object `after`. */
export function* changedIn(part: Registers, from: Vector, to: Vector, after = ''): Generator<ObjectChange> {
  const goneIds = new Set(goneIdsIn(part))
  for (const id of merged(goneIds.values(), touchedIn(part, from, to))) {
    if (id <= after) continue
    const gone = goneIds.has(id) ? goneIn(part, id) : undefined
    const change = gone ? whenGone(id, gone, from, to) : whenThere(part, id, from, to)
    if (change) yield change
  }
}

/** Objects that may have changed, in order of id: most of a part have not, which is seen without taking each to pieces. */
function* touchedIn(part: Registers, from: Vector, to: Vector): Generator<string> {
  const flagged = new Set<string>()
  for (const [id, o] of flagOriginsIn(part)) if (isBeyond(o, from, to)) flagged.add(id)
  for (const [id, text] of objectTextsIn(part)) {
    const o = typeof text === 'string' ? originAtEnd(text) : undefined
    if (!o || isBeyond(o, from, to) || flagged.has(id)) yield id
  }
}

function whenGone(id: string, gone: GoneRecord, from: Vector, to: Vector): ObjectChange | undefined {
  return isBeyond(gone.o, from, to) ? { id, kind: 'gone', gone, devices: new Set([gone.o[2]]) } : undefined
}

function whenThere(part: Registers, id: string, from: Vector, to: Vector): ObjectChange | undefined {
  const object = objectIn(part, id)
  if (!object) return undefined
  const isNew = isBeyond(object.o, from, to)
  const flagged = [...flagsIn(part, id)].filter(({ o }) => isBeyond(o, from, to))
  if (!isNew && flagged.length === 0) return undefined
  const devices = new Set(flagged.map(({ o }) => o[2]))
  if (isNew) devices.add(object.o[2])
  const isFlagged = flagged.some(({ o: [run, n] }) => run !== object.o[0] || n !== object.o[1])
  return { id, kind: isNew ? 'created' : 'changed', object, isFlagged, devices }
}

/** Two lists in order, as one: each text once. */
function* merged(a: Iterator<string>, b: Iterator<string>): Generator<string> {
  let left = a.next()
  let right = b.next()
  while (!left.done || !right.done) {
    const isLeft = !left.done && (right.done || left.value <= right.value)
    const text: string = isLeft ? left.value : right.value
    yield text
    if (!left.done && left.value === text) left = a.next()
    if (!right.done && right.value === text) right = b.next()
  }
}
