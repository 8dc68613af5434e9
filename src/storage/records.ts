import { z } from 'zod'
import { asJson } from '../commands/plain.ts'
import type { Json, Register, Registers } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { address, type Flag, flag, isContainer, isObjectId, type ObjectName, objectName } from './fields.ts'
import { mailboxGrant, mailboxSubscriber } from './methods/users.ts'
import { type StoredObject, storedObject } from './objects.ts'

/*
 * What the registers of a mailbox's documents mean: their keys, and the shapes of their values. A replica holds what another
 * operator chose to write, so nothing here trusts a value: what does not parse is left out. Unknown keys, and unknown
 * fields of known values, belong to later versions.
 */

/** One life of a mailbox's writer at one server: a random name, never used again. */
export type Run = string
const runPattern = /^[A-Za-z0-9_-]{8}$/
const run = z.string().regex(runPattern)
const count = z.int().min(0)

/**
 * Where a change stands in the mailbox's history: the writer, the number of its commit, and the device that asked for it. Kept in
 * the register itself, so that it stays through every compaction.
 */
const origin = z.union([z.tuple([run, count]), z.tuple([run, count, z.string()])])
export type Origin = z.infer<typeof origin>

/** `user`, in the mailbox document: that there is such a user, and since when. `erased` once it was removed. */
const userRecord = z.object({ born: z.string().max(64), erased: z.literal(true).optional() })

/** `container/<container>`. */
const containerRecord = z.object({ name: z.string(), parent: z.string().optional(), o: origin })

/** `removed/<folder>`: no object in it counts any more, and no later name brings it back. It takes the place of `container/<folder>`. */
const removedRecord = z.object({ o: origin })

export interface ContainerRecord extends z.infer<typeof containerRecord> {
  /** Whether it was removed. `o` says then from where on. */
  readonly gone?: true
}

/**
 * `count/<container>/<part>/<run>`: what this writer has added to the part in all; counts of several writers add up. Whoever puts a
 * part in order may set it right for all of them.
 */
const countRecord = z.object({
  /** Objects, and the bytes that they count for. */
  objects: z.int(),
  bytes: z.int(),
  /** Characters of what stands in the part document. */
  chars: z.int(),
  /** Between which times its objects were sent. */
  from: z.number(),
  to: z.number(),
})
export type PartCounts = z.infer<typeof countRecord>
export const noCounts: PartCounts = { objects: 0, bytes: 0, chars: 0, from: Number.MAX_SAFE_INTEGER, to: 0 }

const objectRecord = storedObject
  .omit({ container: true, part: true, id: true, flags: true })
  .strip()
  .extend({ o: origin })
export type ObjectRecord = z.infer<typeof objectRecord>

const flagRecord = z.object({ on: z.boolean(), o: origin })

/** Why an object is not there any more. */
const goneRecord = z.object({
  why: z.enum(['expunged', 'moved', 'retention']),
  to: objectName.optional(),
  /** When, milliseconds since 1970. */
  at: z.number(),
  o: origin,
})
export type GoneRecord = z.infer<typeof goneRecord>

export const keys = {
  user: 'user',
  address: (address: string) => `address/${address}`,
  subscriber: (operator: string, identity: string) => `subscriber/${operator}/${identity}`,
  grant: (operator: string) => `grant/${operator}`,
  container: (container: string) => `container/${container}`,
  removed: (folder: string) => `removed/${folder}`,
  run: (run: Run) => `run/${run}`,
  change: (container: string, part: number, run: Run) => `change/${container}/${part}/${run}`,
  count: (container: string, part: number, run: Run) => `count/${container}/${part}/${run}`,
  due: (container: string, part: number) => `due/${container}/${part}`,
  erased: (container: string, part: number) => `erased/${container}/${part}`,
  object: (id: string) => `object/${id}`,
  flag: (id: string, flag: Flag) => `flag/${id}/${flag}`,
  gone: (id: string) => `gone/${id}`,
  /**
   * In a part: up to which commit of a writer it is complete. The last of all keys: compaction copies in their order, so a
   * replica that has it in a copy has all that the copy says.
   */
  at: (run: Run) => `~at/${run}`,
} as const

type JsonObject = { readonly [key: string]: Json }
const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether it may be one: what is found then is parsed. */
const isOrigin = (value: Json | undefined): value is Origin & Json =>
  Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number'

/** Parses a register's value; `undefined` if it is none, or a mark. */
const parsed = <T>(schema: z.ZodType<T>, value: Json | undefined): T | undefined =>
  value === null || value === undefined ? undefined : schema.safeParse(value).data

/**
 * The same for what a mailbox document says, or an index part of it: every commit and every synchronisation goes through all of its parts, of which
 * hardly any has changed since the last. What was made of a value is kept for as long as the value is.
 */
export function remembering<T>(schema: z.ZodType<T>): (value: Json | undefined) => T | undefined {
  const known = new WeakMap<object, { readonly record: T | undefined }>()
  return value => {
    if (typeof value !== 'object' || value === null) return undefined
    const found = known.get(value) ?? { record: schema.safeParse(value).data }
    known.set(value, found)
    return found.record
  }
}
const asUser = remembering(userRecord)
const asContainer = remembering(containerRecord)
const asRemoved = remembering(removedRecord)
const asCounts = remembering(countRecord)
const asSubscriber = remembering(mailboxSubscriber)
const asGrant = remembering(mailboxGrant)

const asNumber = (value: Json | undefined): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** How far each writer of a mailbox has come. */
export type Vector = ReadonlyMap<Run, number>

export const userOf = (mailbox: Registers) => asUser(mailbox.get(keys.user)?.value)

/** A mailbox that is there, and was not erased. */
export const isLiving = (mailbox: Registers): boolean => {
  const user = userOf(mailbox)
  return user !== undefined && user.erased !== true
}

export function* addressesOf(mailbox: Registers): Generator<string> {
  for (const [key, { value }] of mailbox.entries('address/')) {
    const name = key.slice('address/'.length)
    if (value !== null && address.safeParse(name).success) yield name
  }
}

export function* subscribersOf(mailbox: Registers) {
  for (const [, { value }] of mailbox.entries('subscriber/')) {
    const subscriber = asSubscriber(value)
    if (subscriber) yield subscriber
  }
}

export function subscriberIn(mailbox: Registers, operator: string, identity: string) {
  const found = asSubscriber(mailbox.get(keys.subscriber(operator, identity))?.value)
  return found?.operator === operator && found.identity === identity ? found : undefined
}

export function* grantsOf(mailbox: Registers) {
  for (const [, { value }] of mailbox.entries('grant/')) {
    const grant = asGrant(value)
    if (grant) yield grant
  }
}

export function containerOf(mailbox: Registers, container: string): ContainerRecord | undefined {
  const removed = asRemoved(mailbox.get(keys.removed(container))?.value)
  if (removed) return { name: '', gone: true, o: removed.o }
  return asContainer(mailbox.get(keys.container(container))?.value)
}

type Named = readonly [container: string, record: ContainerRecord]

/** `isWanted`: by the commit that has named it. */
export function* containersOf(said: Registers, isWanted: (o: Origin) => boolean = () => true): Generator<Named> {
  yield* namedIn(said, 'container/', isWanted)
  for (const [name] of removedSince(said)) {
    const record = containerOf(said, name)
    if (record && isWanted(record.o)) yield [name, record]
  }
}

function* namedIn(said: Registers, prefix: string, isWanted: (o: Origin) => boolean): Generator<Named> {
  for (const [key, { value }] of said.entries(prefix)) {
    // Of many most are not wanted, which is seen without taking them to pieces.
    if (!isObject(value) || !isOrigin(value.o) || !isWanted(value.o)) continue
    const name = key.slice('container/'.length)
    const record = isContainer(name) ? containerOf(said, name) : undefined
    if (record && !record.gone) yield [name, record]
  }
}

/** Folders, those that were removed too. Of them the mailbox document alone says this. */
export function* foldersIn(mailbox: Registers): Generator<Named> {
  yield* namedIn(mailbox, 'container/f-', () => true)
  for (const [name] of removedSince(mailbox)) {
    const record = containerOf(mailbox, name)
    if (record) yield [name, record]
  }
}

/** Folders that were removed, each with when. */
export function* removedSince(mailbox: Registers): Generator<readonly [container: string, at: number]> {
  for (const [key, { value, stamp }] of mailbox.entries('removed/')) {
    const name = key.slice('removed/'.length)
    if (value !== null && isContainer(name)) yield [name, stamp]
  }
}

/** Writers, each with its last commit and when that was. */
export function* runsOf(mailbox: Registers): Generator<{ run: Run; number: number; stamp: number }> {
  for (const [key, { value, stamp }] of mailbox.entries('run/')) {
    const run = key.slice('run/'.length)
    const number = asNumber(value)
    if (runPattern.test(run) && number !== undefined) yield { run, number, stamp }
  }
}

export const vectorOf = (mailbox: Registers): Map<Run, number> =>
  new Map([...runsOf(mailbox)].map(({ run, number }) => [run, number]))

/** `due/<container>/<part>`: from when on something there is to be expunged by policy. */
export const dueIn = (mailbox: Registers) => timesOfParts(mailbox, 'due/')

/** `erased/<container>/<part>`: when something was expunged last, as long as that is remembered. */
export const erasedIn = (mailbox: Registers) => timesOfParts(mailbox, 'erased/')

function* timesOfParts(mailbox: Registers, prefix: string) {
  for (const [key, { value }] of mailbox.entries(prefix)) {
    const [, name, part] = key.split('/')
    const at = placed(name, part)
    if (typeof value === 'number' && at) yield { ...at, at: value }
  }
}

/**
 * `change/<container>/<part>/<run>`: the number of the commit in which this writer last changed the part. Nobody else writes it:
 * it never goes back.
 */
export interface PartChange {
  readonly n: number
  readonly container: string
  readonly part: number
  readonly run: Run
  /** Of the writer. */
  readonly server: ServerId
}

/** Of all parts, or of those of one container; in order of container, then of the part's decimal number as a text. */
export function* changesOf(mailbox: Registers, within?: string): Generator<PartChange> {
  for (const [key, register] of mailbox.entries(within === undefined ? 'change/' : `change/${within}/`)) {
    const change = changeFrom(key, register)
    if (change) yield change
  }
}

/** Those beyond a vector. Of many parts most have not changed, which is seen without taking their keys to pieces. */
export function* changesSince(said: Registers, from: Vector): Generator<PartChange> {
  for (const [key, register] of said.entries('change/')) {
    const { value } = register
    if (typeof value !== 'number' || value <= (from.get(key.slice(key.lastIndexOf('/') + 1)) ?? 0)) continue
    const change = changeFrom(key, register)
    if (change) yield change
  }
}

function changeFrom(key: string, { value, server }: Register): PartChange | undefined {
  const [, name, part, run = ''] = key.split('/')
  const n = asNumber(value)
  const at = placed(name, part)
  return n !== undefined && at && runPattern.test(run) ? { n, ...at, run, server } : undefined
}

/** The same, with what each writer says of how much it has added. */
export function* additionsOf(mailbox: Registers, within?: string): Generator<PartChange & PartCounts> {
  for (const change of changesOf(mailbox, within))
    yield { ...change, ...(countIn(mailbox, change.container, change.part, change.run) ?? noCounts) }
}

/** The part that a key speaks of, if that can be one. */
const placed = (container = '', part = ''): { container: string; part: number } | undefined =>
  isContainer(container) && partPattern.test(part) ? { container, part: Number(part) } : undefined
const partPattern = /^(0|[1-9][0-9]{0,8})$/

export const changeIn = (mailbox: Registers, container: string, part: number, run: Run): number | undefined =>
  asNumber(mailbox.get(keys.change(container, part, run))?.value)

export const countIn = (mailbox: Registers, container: string, part: number, run: Run): PartCounts | undefined =>
  asCounts(mailbox.get(keys.count(container, part, run))?.value)

/**
 * An object stands in its register as the text of its JSON: a part of 2,000 is opened many times, most of its objects are
 * looked at seldom, and a text is taken from the disk at once where an object is taken member by member.
 */
export const objectText = (record: ObjectRecord): string => JSON.stringify(record)

/** How much of a part an object takes: see {@link ChangeRecord.chars}. */
export const charsOf = (part: Registers, id: string): number => {
  const value = part.get(keys.object(id))?.value
  return typeof value === 'string' ? value.length : 0
}

export const objectIn = (part: Registers, id: string): ObjectRecord | undefined =>
  objectFrom(part.get(keys.object(id))?.value)

/** The object that a register's value stands for, if it is one. */
export function objectFrom(text: Json | undefined): ObjectRecord | undefined {
  if (typeof text !== 'string') return undefined
  try {
    return parsed(objectRecord, JSON.parse(text))
  } catch {
    return undefined
  }
}

/**
 * Of which commit an object is, read off the end of its text: that is where {@link objectText} has it. `undefined` if it does not
 * stand there; what does not parse as an object may seem to have one.
 */
export function originAtEnd(text: string): Origin | undefined {
  const [, run, number, device] = endingInOrigin.exec(text) ?? []
  if (run === undefined) return undefined
  return device === undefined ? [run, Number(number)] : [run, Number(number), device]
}
/** Within a text of JSON a quotation mark has a backslash before it, so that this is a member, and the last one of the whole. */
const endingInOrigin = /[,{]"o":\["([^"\\]{1,64})",(0|[1-9][0-9]{0,14})(?:,"([^"\\]*)")?\]\}$/

export const goneIn = (part: Registers, id: string): GoneRecord | undefined =>
  parsed(goneRecord, part.get(keys.gone(id))?.value)

/** Flags of an object, with where each was last set or cleared. */
export function* flagsIn(part: Registers, id: string) {
  for (const [key, { value, stamp }] of part.entries(`flag/${id}/`)) {
    const name = flag.safeParse(key.slice(`flag/${id}/`.length))
    const record = parsed(flagRecord, value)
    if (name.success && record) yield { flag: name.data, stamp, ...record }
  }
}

export const flagNames = (part: Registers, id: string): Flag[] =>
  [...flagsIn(part, id)].filter(({ on }) => on).map(({ flag }) => flag)

/**
 * Objects of which something is said by flags, those after the object `after`, each as often as it is, with where that may stand: what
 * is said is to be looked at by {@link flagsIn}.
 */
export function* flaggedIn(part: Registers, after = ''): Generator<readonly [id: string, o: Origin | undefined]> {
  for (const [key, { value }] of part.entries('flag/', `flag/${after}`)) {
    const id = key.slice('flag/'.length, key.indexOf('/', 'flag/'.length))
    if (id > after) yield [id, value !== null && isObject(value) && isOrigin(value.o) ? value.o : undefined]
  }
}

/** Ids of the objects that a part holds, in order. */
export function* idsIn(part: Registers): Generator<string> {
  yield* idsUnder(part, 'object/')
}

/** Ids after `after` of what a part held once. */
export function* goneIdsIn(part: Registers, after?: string): Generator<string> {
  yield* idsUnder(part, 'gone/', after)
}

function* idsUnder(part: Registers, prefix: string, after?: string): Generator<string> {
  for (const [id] of valuesUnder(part, prefix, after)) yield id
}

/** The objects that a part holds after the object `after`, in order of id, as their texts; what is no text is no object. */
export const objectTextsIn = (part: Registers, after?: string): Generator<readonly [id: string, text: Json]> =>
  valuesUnder(part, 'object/', after)

function* valuesUnder(part: Registers, prefix: string, after = ''): Generator<readonly [id: string, value: Json]> {
  for (const [key, { value }] of part.entries(prefix, prefix + after)) {
    const id = key.slice(prefix.length)
    if (value !== null && id > after && isObjectId(id)) yield [id, value]
  }
}

/** Up to which commit of a writer a part is complete here. */
export function completeTo(part: Registers, run: Run): number {
  const value = part.get(keys.at(run))?.value
  return typeof value === 'number' ? value : 0
}

/** An object as it is given to a client. */
export function storedFrom(part: Registers, name: ObjectName): StoredObject | undefined {
  const record = goneIn(part, name.id) ? undefined : objectIn(part, name.id)
  return record && asStored(record, name, flagNames(part, name.id))
}

export function asStored({ o: _, ...said }: ObjectRecord, name: ObjectName, flags: Flag[]): StoredObject {
  return { ...said, ...name, flags }
}

export const written = (key: string, value: unknown, at?: number) => ({
  key,
  value: value === null ? null : asJson(value),
  ...(at === undefined ? {} : { at }),
})
