import type { LocalRecord } from '../ports/log-store.ts'
import type { ServerId } from '../ports/names.ts'
import type { Held, Place } from './content.ts'
import type { Foreseen, Json, Mutation, Register, RegisterWrite } from './documents.ts'
import type { HeldView } from './held-view.ts'
import { InvalidRegister } from './limits.ts'
import { isLater, maxJsonDepth, maxStamp } from './registers-view.ts'

/** What a mutation decided, as registers that are ready to be stored. Nothing has happened yet. */
export interface Decision {
  /** The content with the decision in it. */
  readonly view: HeldView
  readonly changes: readonly (readonly [key: string, held: Held])[]
  /** At most what the changes take in an entry. */
  readonly bytes: number
  /** Whether it may use a full document's last room: it only removes registers, or says what is owed. */
  readonly mayUseLastRoom: boolean
  readonly local: readonly LocalRecord[]
  readonly answer: unknown
}

/** Whose stamps are made, and where what is written will lie. */
export interface Pen {
  readonly server: ServerId
  readonly place: Place
}

const maxKeyBytes = 1_024
/** Of an item besides key, value and server: info, origin or root name, stamp, lengths, and its part in the delete set. */
const itemOverheadBytes = 96

/**
 * Lets a mutation decide on a content, and stamps what it writes.
 *
 * A stamp is max(now, the key's greatest stamp + 1), so that a write always wins over what its server has seen. A command
 * that says its own time gets min(that, now), and is left out where it would not win: so a command that is executed twice,
 * here or elsewhere, has happened once.
 *
 * @throws what the mutation throws; {@link InvalidRegister}
 */
export function decide(view: HeldView, mutation: Mutation<unknown>, now: number, pen: Pen): Decision {
  let draft: Draft | undefined
  const foresee = (writes: readonly RegisterWrite[]): Foreseen => {
    draft = draftOf(view, writes, now, pen)
    return draft
  }
  const { writes, local = [], isOwed = false, answer } = mutation(view, now, foresee)
  const { registers, changes, bytes, removesOnly } = draft?.writes === writes ? draft : draftOf(view, writes, now, pen)
  return { view: registers, changes, bytes, mayUseLastRoom: isOwed || removesOnly, local, answer }
}

/** A content with writes in it, and what they come to. */
interface Draft extends Foreseen {
  readonly writes: readonly RegisterWrite[]
  readonly registers: HeldView
  readonly changes: readonly (readonly [key: string, held: Held])[]
  readonly bytes: number
  readonly removesOnly: boolean
}

/** @throws {InvalidRegister} */
function draftOf(view: HeldView, writes: readonly RegisterWrite[], now: number, pen: Pen): Draft {
  const changes: [string, Held][] = []
  const overtaken: string[] = []
  let registers = view
  let bytes = 0
  let removesOnly = true
  for (const write of writes) {
    assertKey(write.key)
    const writeBytes = registerBytes(write.key, write.value)
    const register = stamped(write, registers.held(write.key)?.register, now, pen.server)
    if (!register) {
      overtaken.push(write.key)
      continue
    }
    const change = { register, place: pen.place }
    registers = registers.with(write.key, change)
    changes.push([write.key, change])
    bytes += writeBytes
    removesOnly &&= write.value === null
  }
  return { writes, registers, overtaken, changes, bytes, removesOnly }
}

/** The register that a write makes of its key, or `undefined` if the key has one already that wins over it. @throws {InvalidRegister} */
export function stamped(
  { key, value, at }: RegisterWrite,
  before: Register | undefined,
  now: number,
  server: ServerId,
): Register | undefined {
  if (at !== undefined) {
    const register = { stamp: Math.min(at, now), server, value }
    if (!Number.isSafeInteger(at) || at < 0) throw new InvalidRegister(key, `${at} is no time`)
    return before && !isLater(register, before) ? undefined : register
  }
  const stamp = before && before.stamp >= now ? before.stamp + 1 : now
  if (stamp > maxStamp) throw new InvalidRegister(key, 'its stamp has reached the end of time')
  return { stamp, server, value }
}

/** @throws {InvalidRegister} */
function assertKey(key: string): void {
  if (key.length === 0 || textBytes(key, key) > maxKeyBytes)
    throw new InvalidRegister(key, `a key has 1 to ${maxKeyBytes} bytes`)
}

/** At most what a register takes in an update. @throws {InvalidRegister} when the value is not JSON */
export const registerBytes = (key: string, value: Json): number =>
  itemOverheadBytes + textBytes(key, key) + jsonBytes(key, value, maxJsonDepth)

/** At most what lib0's "any" encoding makes of a value. @throws {InvalidRegister} */
function jsonBytes(key: string, value: Json, depth: number): number {
  switch (typeof value) {
    case 'string':
      return 6 + textBytes(key, value)
    case 'number':
      if (!Number.isFinite(value)) throw new InvalidRegister(key, `${value} is not JSON`)
      return 9
    case 'boolean':
      return 1
    case 'object':
      return value === null ? 1 : containerBytes(key, value, depth)
    default:
      throw new InvalidRegister(key, `${typeof value} is not JSON`)
  }
}

function containerBytes(key: string, value: object, depth: number): number {
  if (depth === 0) throw new InvalidRegister(key, `its value nests deeper than ${maxJsonDepth}`)
  let bytes = 6
  if (Array.isArray(value)) {
    for (const item of value) bytes += jsonBytes(key, item, depth - 1)
    return bytes
  }
  for (const name of Object.keys(value)) {
    const item = (value as Readonly<Record<string, Json>>)[name] as Json
    if (name === '__proto__') throw new InvalidRegister(key, 'its value has a member "__proto__"')
    bytes += 5 + textBytes(key, name) + jsonBytes(key, item, depth - 1)
  }
  return bytes
}

/** At most the bytes of a text in UTF-8. A lone surrogate has no encoding: it would read differently elsewhere. */
function textBytes(key: string, text: string): number {
  if (!text.isWellFormed()) throw new InvalidRegister(key, 'it holds half a surrogate pair')
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit >= 0x80) bytes += unit >= 0x800 ? 2 : 1
  }
  return bytes
}
