import {
  createEncoder,
  type Encoder,
  toUint8Array,
  writeAny,
  writeUint8,
  writeVarString,
  writeVarUint,
  writeVarUint8Array,
} from 'lib0/encoding'
import type { Json, Register } from './documents.ts'
import { firstOfKey, type GuardedItem, namedRoot, nextOfKey } from './guard.ts'
import { any } from './strict-reader.ts'

/*
 * Registers as Yjs updates, without Yjs: what a server writes is so plain that it is written here in one pass, in the
 * one form that the guard lets pass. The bytes are those that Yjs makes of the same writes.
 */

/** Stamp, server and value. */
const registerMembers = 3

/** One register to be set in a log. */
export interface NewItem {
  readonly key: string
  readonly register: Register
  /** The clock of the key's last item in this log; absent: it is the first of its key. */
  readonly overwrites: number | undefined
}

/** The log that an update goes on with. */
export interface UpdatedLog {
  readonly root: string
  readonly clientId: number
  /** The clock of the first item. */
  readonly clock: number
}

/** @param items each of another key; at least one */
export function encodeUpdate(log: UpdatedLog, items: readonly NewItem[]): Uint8Array {
  const encoder = createEncoder()
  const overwritten: number[] = []
  writeVarUint(encoder, 1)
  writeVarUint(encoder, items.length)
  writeVarUint(encoder, log.clientId)
  writeVarUint(encoder, log.clock)
  for (const { key, register, overwrites } of items) {
    if (overwrites === undefined) writeFirst(encoder, log.root, key)
    else {
      writeNext(encoder, log.clientId, overwrites)
      overwritten.push(overwrites)
    }
    writeVarUint(encoder, 1)
    writeRegister(encoder, register)
  }
  writeDeletes(encoder, log.clientId, overwritten)
  return toUint8Array(encoder)
}

/** All that a log has written. */
export interface LogExtent {
  readonly clientId: number
  /** The clock after its last item. */
  readonly clock: number
}

/** An update that writes nothing, and deletes all that some logs have written. */
export function encodeDeletion(logs: readonly LogExtent[]): Uint8Array {
  const written = logs.filter(({ clock }) => clock > 0)
  const encoder = createEncoder()
  writeVarUint(encoder, 0)
  writeVarUint(encoder, written.length)
  for (const { clientId, clock } of written) {
    writeVarUint(encoder, clientId)
    writeVarUint(encoder, 1)
    writeVarUint(encoder, 0)
    writeVarUint(encoder, clock)
  }
  return toUint8Array(encoder)
}

/** Yjs's way to say that an item was deleted: the kind of content stands in the lower half of the info, and is its length. */
const deletedContent = 1
const contentBits = 0b000_11111
const anyContent = firstOfKey & contentBits

/**
 * An update that says the same items are there, and nothing of what they said: for whoever follows a log of which this part counts for
 * nothing, and which goes on. To Yjs it is what it makes itself of items that were deleted.
 */
export function encodeVoid(log: UpdatedLog, items: readonly Pick<GuardedItem, 'key' | 'origin'>[]): Uint8Array {
  const encoder = createEncoder()
  writeVarUint(encoder, 1)
  writeVarUint(encoder, items.length)
  writeVarUint(encoder, log.clientId)
  writeVarUint(encoder, log.clock)
  for (const { key, origin } of items) {
    if (key === undefined) writeNext(encoder, log.clientId, origin, deletedContent)
    else writeFirst(encoder, log.root, key, deletedContent)
    writeVarUint(encoder, 1)
  }
  writeDeletes(
    encoder,
    log.clientId,
    items.map((_, index) => log.clock + index),
  )
  return toUint8Array(encoder)
}

function writeFirst(encoder: Encoder, root: string, key: string, content = anyContent): void {
  writeUint8(encoder, (firstOfKey & ~contentBits) | content)
  writeVarUint(encoder, namedRoot)
  writeVarString(encoder, root)
  writeVarString(encoder, key)
}

function writeNext(encoder: Encoder, clientId: number, origin: number, content = anyContent): void {
  writeUint8(encoder, (nextOfKey & ~contentBits) | content)
  writeVarUint(encoder, clientId)
  writeVarUint(encoder, origin)
}

function writeRegister(encoder: Encoder, { stamp, server, value }: Register): void {
  writeUint8(encoder, any.array)
  writeVarUint(encoder, registerMembers)
  writeAny(encoder, stamp)
  writeAny(encoder, server)
  writeJson(encoder, value)
}

/** lib0 passes a text on byte by byte: of a long one, most of what writing it takes. */
const longText = 64
const texts = new TextEncoder()

/** lib0's own takes arrays only that might be changed. */
function writeJson(encoder: Encoder, value: Json): void {
  if (typeof value === 'string' && value.length >= longText) {
    writeUint8(encoder, any.text)
    writeVarUint8Array(encoder, texts.encode(value))
    return
  }
  if (typeof value !== 'object' || value === null) {
    writeAny(encoder, value)
    return
  }
  if (isList(value)) {
    writeUint8(encoder, any.array)
    writeVarUint(encoder, value.length)
    for (const item of value) writeJson(encoder, item)
    return
  }
  const members = Object.entries(value)
  writeUint8(encoder, any.object)
  writeVarUint(encoder, members.length)
  for (const [name, member] of members) {
    writeVarString(encoder, name)
    writeJson(encoder, member)
  }
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value)

/** What is overwritten is deleted: sorted ranges that do not touch. */
function writeDeletes(encoder: Encoder, clientId: number, overwritten: number[]): void {
  if (overwritten.length === 0) {
    writeVarUint(encoder, 0)
    return
  }
  const ranges: { from: number; end: number }[] = []
  for (const clock of overwritten.sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.end === clock) last.end = clock + 1
    else ranges.push({ from: clock, end: clock + 1 })
  }
  writeVarUint(encoder, 1)
  writeVarUint(encoder, clientId)
  writeVarUint(encoder, ranges.length)
  for (const { from, end } of ranges) {
    writeVarUint(encoder, from)
    writeVarUint(encoder, end - from)
  }
}
