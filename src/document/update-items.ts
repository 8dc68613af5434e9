import { createDecoder, type Decoder, readAny, readUint8, readVarString, readVarUint } from 'lib0/decoding'
import type { Register } from './documents.ts'
import { firstOfKey } from './guard.ts'
import { asRegister } from './registers-view.ts'
import { any } from './strict-reader.ts'

/*
 * Items of an update that the guard has let pass, read where they lie: a document may hold thousands that nobody asks for.
 * An item is named by the update and the place of its first byte there.
 */

/** Stamp, server and value. */
const registerMembers = 3
/** A text of more bytes stays in the update until somebody asks for it: the heap is not for what lies about unread. */
const longTextBytes = 64

/** Info, the kind of parent, and the length of the root's name, which is a log id. */
const beforeRootBytes = 3

/** The key of an item that is the first of its key. */
export function keyIn(update: Uint8Array, at: number): string {
  const decoder = createDecoder(update)
  decoder.pos = keyPlace(update, at)
  return readVarString(decoder)
}

/**
 * The order of the key of an item that is the first of its key, and of a text, by UTF-16 code units: negative, zero or positive as
 * the key comes before the text, is equal to it or comes after it.
 */
export function compareKeyIn(update: Uint8Array, at: number, text: string): number {
  const from = keyStart(update, at)
  const bytes = keyEnd(update, at) - from
  const common = Math.min(bytes, text.length)
  for (let index = 0; index < common; index++) {
    const byte = update[from + index] as number
    if (byte >= 0x80) return compareTexts(keyIn(update, at), text)
    const difference = byte - text.charCodeAt(index)
    if (difference !== 0) return difference
  }
  return bytes - text.length
}

const compareTexts = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)

/** Where the key begins with its length: a key has at most 1,024 bytes, so that takes one byte or two. */
const keyPlace = (update: Uint8Array, at: number): number => at + beforeRootBytes + (update[at + 2] as number)

/**
 * Goes over the items of an update, in order, without taking any of them to pieces: what the guard has checked when the update came
 * in is not checked again.
 */
export class ItemWalk {
  readonly items: number
  readonly clientId: number
  /** Of the first item. */
  readonly clock: number
  /** Where the item begins that the walk has come to. */
  at = 0
  /** The clock of the item that it overwrites; -1 for the first of its key. */
  origin = -1
  readonly #update: Uint8Array
  #next = 0

  /** @throws {Error} for bytes that no guard lets pass */
  constructor(update: Uint8Array) {
    this.#update = update
    const clients = this.#number()
    this.items = this.#number()
    if (clients !== 1 || this.items > update.length) throw unguarded()
    this.clientId = this.#number()
    this.clock = this.#number()
  }

  /** Moves to the next item; it is called as often as there are items. @throws {Error} for bytes that no guard lets pass */
  next(): void {
    this.at = this.#next
    this.origin = this.#start()
    // The number of registers, the array that a register is, and the number of its members.
    this.#next += 3
    this.#skipJson()
    this.#skipJson()
    this.#skipJson()
    if (this.#next > this.#update.length) throw unguarded()
  }

  /** Past what names the item's key or the item before it; answers the clock of that. */
  #start(): number {
    if (this.#update[this.#next++] === firstOfKey) {
      this.#next++
      this.#skipText()
      this.#skipText()
      return -1
    }
    this.#number()
    return this.#number()
  }

  #skipJson(): void {
    switch (this.#update[this.#next++]) {
      case any.text:
        this.#skipText()
        break
      case any.integer:
        this.#skipInteger()
        break
      case any.float32:
        this.#next += 4
        break
      case any.float64:
        this.#next += 8
        break
      case any.array:
        for (let items = this.#number(); items > 0; items--) this.#skipJson()
        break
      case any.object:
        for (let members = this.#number(); members > 0; members--) {
          this.#skipText()
          this.#skipJson()
        }
        break
      case any.null:
      case any.false:
      case any.true:
        break
      default:
        throw unguarded()
    }
  }

  #skipText(): void {
    const bytes = this.#number()
    this.#next += bytes
  }

  #skipInteger(): void {
    while ((this.#update[this.#next++] as number) >= 0x80);
  }

  #number(): number {
    let value = 0
    let place = 1
    for (;;) {
      const byte = this.#update[this.#next++] as number
      if (!(byte >= 0x80)) return value + byte * place
      value += (byte & 0x7f) * place
      place *= 0x80
    }
  }
}

/** Where the key of an item lies that is the first of its key. */
export function keyStart(update: Uint8Array, at: number): number {
  const place = keyPlace(update, at)
  return (update[place] as number) < 0x80 ? place + 1 : place + 2
}

/** Where it ends. */
export function keyEnd(update: Uint8Array, at: number): number {
  const place = keyPlace(update, at)
  const low = update[place] as number
  return low < 0x80 ? place + 1 + low : place + 2 + (low & 0x7f) + (update[place + 1] as number) * 0x80
}

/** @param server the name of whom it is likely to be of: it is then kept once for many registers */
export function registerIn(update: Uint8Array, at: number, server: Register['server'] | undefined): Register {
  const decoder = createDecoder(update)
  decoder.pos = at
  skipToRegister(decoder)
  if (readUint8(decoder) !== any.array || readVarUint(decoder) !== registerMembers) throw unguarded()
  const stamp = readAny(decoder)
  const writer = server !== undefined && isNext(decoder, server) ? server : readAny(decoder)
  const valueAt = decoder.pos
  if (update[valueAt] === any.text && textBytes(update, valueAt + 1) > longTextBytes)
    return new LongText(stamp, writer, update, valueAt + 1)
  const register = asRegister([stamp, writer, readAny(decoder)])
  if (!register) throw unguarded()
  return register
}

/** Past what names the item's key or the item before it, and the number of its registers, which is one. */
function skipToRegister(decoder: Decoder): void {
  if (readUint8(decoder) === firstOfKey) {
    readVarUint(decoder)
    skipText(decoder)
    skipText(decoder)
  } else {
    readVarUint(decoder)
    readVarUint(decoder)
  }
  readVarUint(decoder)
}

function skipText(decoder: Decoder): void {
  const bytes = readVarUint(decoder)
  decoder.pos += bytes
}

function textBytes(update: Uint8Array, at: number): number {
  const decoder = createDecoder(update)
  decoder.pos = at
  return readVarUint(decoder)
}

const unguarded = (): Error => new Error('The guard has let pass what is no register.')

/** Moves on past a short text of ASCII, if it comes next. */
function isNext(decoder: Decoder, text: string): boolean {
  const { arr, pos } = decoder
  if (arr[pos] !== any.text || arr[pos + 1] !== text.length) return false
  const from = pos + 2
  for (let index = 0; index < text.length; index++) if (arr[from + index] !== text.charCodeAt(index)) return false
  decoder.pos = from + text.length
  return true
}

/** Whether the value is still in the update, and decoded each time it is asked for. */
export const isUnread = (register: Register): boolean => register instanceof LongText

/** The register with its text decoded, once and for all; it does not keep the update in memory. */
export const plain = (register: Register): Register =>
  register instanceof LongText ? { stamp: register.stamp, server: register.server, value: register.value } : register

/** A register whose value is a long text, which is decoded each time it is asked for. */
class LongText implements Register {
  readonly stamp: Register['stamp']
  readonly server: Register['server']
  readonly #update: Uint8Array
  readonly #at: number

  constructor(stamp: Register['stamp'], server: Register['server'], update: Uint8Array, at: number) {
    this.stamp = stamp
    this.server = server
    this.#update = update
    this.#at = at
  }

  get value(): string {
    const decoder = createDecoder(this.#update)
    decoder.pos = this.#at
    return readVarString(decoder)
  }
}
