import type { Documents, Json, Registers } from '../../document/documents.ts'
import type { PartRef } from '../commit.ts'
import type { Flag } from '../fields.ts'
import { changedIndexParts, type IndexPart, indexDocument, indexPartOf, indexPartsOf } from '../index-parts.ts'
import type { MailboxName } from '../names.ts'
import {
  type ContainerRecord,
  changesOf,
  changesSince,
  completeTo,
  containersOf,
  flaggedIn,
  flagsIn,
  type GoneRecord,
  goneIdsIn,
  goneIn,
  type ObjectRecord,
  type Origin,
  objectFrom,
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
        .map(([within, ref]) => changedPart(ref, () => writersOf(within, content ? [mailbox, content] : [mailbox])))
        .sort(inOrder),
    }
  }
}

/** Of many parts a page tells of a few only: the writers of the others are not looked for. */
function changedPart({ container, part }: PartRef, writersOf: () => Map<Run, number>): ChangedPart {
  let writers: Map<Run, number> | undefined
  return {
    container,
    part,
    get writers() {
      writers ??= writersOf()
      return writers
    },
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
      /** Those that are set. */
      readonly flags: Flag[]
      /** Whether a flag was set or cleared since it was there: on some server it may have been there before. */
      readonly isFlagged: boolean
    }
  | { readonly kind: 'gone'; readonly gone: GoneRecord }
)

const isBeyond = ([run, n]: Origin, from: Vector, to: Vector): boolean =>
  n > (from.get(run) ?? 0) && n <= (to.get(run) ?? 0)

/** Objects of a part with a change beyond `from` and not beyond `to`, in order of id, after the object `after`. */
export function* changedIn(part: Registers, from: Vector, to: Vector, after = ''): Generator<ObjectChange> {
  const goneIds = new Set(goneIdsIn(part, after))
  const flagged = new Map<string, boolean>()
  for (const [id, o] of flaggedIn(part, after))
    flagged.set(id, flagged.get(id) === true || (o !== undefined && isBeyond(o, from, to)))
  for (const [id, text] of merged(goneIds.values(), touchedIn(part, from, to, after, flagged))) {
    const gone = goneIds.has(id) ? goneIn(part, id) : undefined
    const flags = () => (flagged.has(id) ? [...flagsIn(part, id)] : [])
    const change = gone ? whenGone(id, gone, from, to) : whenThere(id, text, flags, from, to)
    if (change) yield change
  }
}

/**
 * Objects that may have changed, in order of id, as their texts: most of a part have not, which is seen without taking each to pieces.
 * @param flagged objects with flags, and whether those may have changed
 */
function* touchedIn(
  part: Registers,
  from: Vector,
  to: Vector,
  after: string,
  flagged: ReadonlyMap<string, boolean>,
): Generator<readonly [id: string, text: Json]> {
  for (const each of objectTextsIn(part, after)) {
    const [id, text] = each
    const o = from.size > 0 && typeof text === 'string' ? originAtEnd(text) : undefined
    if (!o || isBeyond(o, from, to) || flagged.get(id) === true) yield each
  }
}

function whenGone(id: string, gone: GoneRecord, from: Vector, to: Vector): ObjectChange | undefined {
  return isBeyond(gone.o, from, to) ? { id, kind: 'gone', gone, devices: new Set([gone.o[2]]) } : undefined
}

function whenThere(
  id: string,
  text: Json | undefined,
  flagsOf: () => ReturnType<typeof flagsIn> extends Generator<infer Flag> ? Flag[] : never,
  from: Vector,
  to: Vector,
): ObjectChange | undefined {
  const object = objectFrom(text)
  if (!object) return undefined
  const isNew = isBeyond(object.o, from, to)
  const said = flagsOf()
  const changed = said.filter(({ o }) => isBeyond(o, from, to))
  if (!isNew && changed.length === 0) return undefined
  const devices = new Set(changed.map(({ o }) => o[2]))
  if (isNew) devices.add(object.o[2])
  const isFlagged = changed.some(({ o: [run, n] }) => run !== object.o[0] || n !== object.o[1])
  const flags = said.flatMap(({ flag, on }) => (on ? [flag] : []))
  return { id, kind: isNew ? 'created' : 'changed', object, flags, isFlagged, devices }
}

/** Ids in order, and ids with texts in order, as one: each id once, with its text if there is one. */
function* merged(
  ids: Iterator<string>,
  texts: Iterator<readonly [id: string, text: Json]>,
): Generator<readonly [id: string, text: Json | undefined]> {
  let left = ids.next()
  let right = texts.next()
  while (!left.done || !right.done) {
    if (right.done || (!left.done && left.value < right.value[0])) {
      yield [left.value as string, undefined]
      left = ids.next()
      continue
    }
    const isBoth = !left.done && left.value === right.value[0]
    yield right.value
    if (isBoth) left = ids.next()
    right = texts.next()
  }
}
